"""The measures of a run, from rows and files."""

import json
from datetime import timedelta
from pathlib import Path

from sqlalchemy import Engine
from support.run_rows import START, fill

from infra.advice.advisories import advise
from infra.advice.measures import read_measures
from infra.settings.load import with_changes
from infra.settings.tree import Settings


def test_measures_are_of_the_newest_closed_groups(engine: Engine, tmp_path: Path) -> None:
    fill(engine, purpose="train", groups=21)
    settings = with_changes(Settings(), run={"id": "r"})
    with engine.connect() as connection:
        found = read_measures(connection, settings, tmp_path)
        some = read_measures(connection, settings, tmp_path, window=5)
    assert (found.phase, found.purpose, found.trained, found.open) == ("train", "train", 0, 1)
    assert found.outcomes == {"filtered (zero_variance)": 20}
    assert (found.responses, found.zero, found.alike) == (79, 1.0, 1.0)
    assert found.cut_off == 60 / 79
    assert found.rewards == {"sums": 0.0}
    assert found.scorers["rtv"].infra_errors == 1 / 80
    assert found.silent_seconds is not None
    assert found.silent_seconds > 3600
    assert (some.responses, sum(some.outcomes.values())) == (20, 5)
    assert [advisory.kind for advisory in advise(found)] == ["nothing_trained", "all_zero"]


def test_before_training_the_measurements_speak(engine: Engine, tmp_path: Path) -> None:
    fill(engine, purpose="assess", groups=10)
    with engine.connect() as connection:
        found = read_measures(connection, with_changes(Settings(), run={"id": "r"}), tmp_path)
        unknown = read_measures(connection, with_changes(Settings(), run={"id": "gone"}), tmp_path)
    assert (found.purpose, found.responses) == ("assess", 35)
    assert (unknown.phase, unknown.responses, advise(unknown)) == ("starting", 0, [])


def test_files_of_the_run_tell_how_busy_it_is(engine: Engine, tmp_path: Path) -> None:
    fill(engine, purpose="train", groups=0)
    rows = [{"seconds": 2.0 * row, "phase": "train", "engine_running": 8.0 * (row % 4 == 0)} for row in range(100)]
    steps = [
        {"at": START.timestamp() + 10 * step, "lineage": 0, "seconds": {"total": 9.5}, "logprob_diff_mean": 0.1}
        for step in range(9)
    ]
    for name, lines in (("metrics.jsonl", rows), ("steps.jsonl", steps)):
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (tmp_path / name).write_text(text + '{"cut')
    with engine.connect() as connection:
        found = read_measures(connection, with_changes(Settings(), run={"id": "r"}), tmp_path)
    assert found.idle is not None
    assert abs(found.idle - 0.75) < 0.03
    assert (found.busy, found.logprob_diff) == (0.95, 0.1)
    assert timedelta(seconds=found.silent_seconds or 0) > timedelta(days=1)
