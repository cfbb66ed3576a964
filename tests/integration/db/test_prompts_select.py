"""`rewardstream prompts select` and `explain`: another round of a run that has one, and what is known of a prompt."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from support.score_rows import record
from support.waiting import wait_until

from infra.cli.errors import CommandError
from infra.cli.prompt_explanation import explain
from infra.cli.prompts import select_
from infra.db.sink import ScoreSink
from infra.local.run_folder import write_settings
from infra.settings.tree import Settings
from trainer.curriculum.selection import latest_round, select_round
from trainer.curriculum.selector_lock import lock_rounds
from trainer.prompts.dataset import Defaults, parse_row
from trainer.prompts.ingest import ingest_rows


def test_the_first_selection_is_the_selectors(
    engine: Engine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = engine.url.render_as_string(hide_password=False)
    (tmp_path / "run").mkdir()
    settings = Settings.model_validate({"run": {"id": "run"}, "database": {"url": url}})
    write_settings(settings, tmp_path / "run")
    row = {"domain": "qa", "prompt": "Capital of France?", "ground_truth": "Paris"}
    ingest_rows(engine, [parse_row(row, Defaults())])
    with pytest.raises(CommandError, match="run run has no selection yet"):
        select_(run="run", runs=tmp_path)
    with engine.begin() as connection:
        assert latest_round(connection, "run") is None
        select_round(connection, settings, 0, 3)
    select_(run="run", runs=tmp_path)
    assert capsys.readouterr().out == "round 1 of run run\nqa: 1 in\n"
    with engine.connect() as connection:
        assert latest_round(connection, "run") == (1, 3)


def test_a_round_waits_for_one_that_is_being_written(engine: Engine, tmp_path: Path) -> None:
    url = engine.url.render_as_string(hide_password=False)
    (tmp_path / "run").mkdir()
    settings = Settings.model_validate({"run": {"id": "run"}, "database": {"url": url}})
    write_settings(settings, tmp_path / "run")
    with engine.begin() as connection:
        select_round(connection, settings, 0, 3)
    waiting = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    with ThreadPoolExecutor(1) as command:
        with engine.begin() as selector:
            lock_rounds(selector, "run")
            select_round(selector, settings, 1, 20)
            done = command.submit(select_, run="run", runs=tmp_path)
            with engine.connect() as other:
                wait_until(lambda: other.scalar(waiting) == 1, "the command at the lock of the rounds")
        done.result(60)
    with engine.connect() as connection:
        assert latest_round(connection, "run") == (2, 20)


def test_explain_shows_the_posterior(engine: Engine, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = engine.url.render_as_string(hide_password=False)
    (tmp_path / "r").mkdir()
    write_settings(Settings.model_validate({"run": {"id": "r"}, "database": {"url": url}}), tmp_path / "r")
    parsed = parse_row({"domain": "qa", "prompt": "Capital of France?", "ground_truth": "Paris"}, Defaults())
    ingest_rows(engine, [parsed])
    scores = [record(version, score, prompt=parsed.id) for version, score in ((3, 0.5), (4, 1.0))]
    ScoreSink(engine, decay=0.5, consumer_group="difficulty").write(scores)
    explain(prompt_id=parsed.id[:12], run="r", runs=tmp_path)
    line = "rtv: 2 scores, mean 0.750, 1 passed; posterior Beta(2.25, 1.25), mean 0.643, as of version 4"
    assert line in capsys.readouterr().out
