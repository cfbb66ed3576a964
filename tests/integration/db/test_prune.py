"""Pruning a run deletes its rows and nothing else."""

import json

import pytest
from sqlalchemy import func, insert, select
from support.scored_groups import send_group

from infra.cli.errors import CommandError
from infra.cli.run_rows import list_, prune, show
from infra.db.models import Evaluation, Group, Prompt, PromptStats, Run, Score, Selection, SelectionRound
from infra.db.prune import list_runs, prune_run, tables_of_runs
from infra.settings.tree import Settings
from trainer.curriculum.runs import Phase, enter, insert_run
from trainer.curriculum.selection import select_round
from trainer.prompts.dataset import Defaults, parse_row
from trainer.prompts.ingest import ingest_rows

RUNS = ("old", "new")


@pytest.fixture
def database(engine):
    """Two runs on the same prompts; the first is finished."""
    prompts = [parse_row({"domain": "qa", "prompt": f"{n}?", "verifier": "exact"}, Defaults()) for n in range(3)]
    for run in RUNS:
        ingest_rows(engine, prompts, run_id=run)
        for prompt in prompts:
            send_group(engine, run, prompt.id, [0.0, 1.0], 1)
        with engine.begin() as connection:
            settings = Settings.model_validate({"run": {"id": run, "recipe": "demo"}, "model": {"path": "models/tiny"}})
            insert_run(connection, settings, Phase.TRAIN)
            select_round(connection, settings, 0, 0)
    with engine.begin() as connection:
        enter(connection, "old", Phase.FINISHED)
    return engine


def rows_by_run(engine):
    with engine.connect() as connection:
        return {
            table.name: {
                run: count
                for run in RUNS
                if (count := connection.scalar(select(func.count()).where(table.c.run_id == run))) is not None
            }
            for table in tables_of_runs()
        }


def test_only_the_rows_of_the_run_go(database):
    before = rows_by_run(database)
    deleted = dict(prune_run(database, "old", blocks_at_a_time=1))
    after = rows_by_run(database)
    assert deleted == {name: counts["old"] for name, counts in before.items() if counts["old"]}
    assert {Group, Score, PromptStats, Selection, SelectionRound} <= {
        model for model in (Group, Score, PromptStats, Selection, SelectionRound) if deleted[model.__tablename__]
    }
    assert all(counts["old"] == 0 for counts in after.values())
    assert {name: counts["new"] for name, counts in after.items()} == {
        name: counts["new"] for name, counts in before.items()
    }
    with database.connect() as connection:
        assert connection.scalars(select(Run.id)).all() == ["new"]
        assert connection.scalar(select(func.count()).select_from(Prompt)) == 3
    assert dict(prune_run(database, "old")) == {}


def test_the_list_says_what_each_run_takes(database):
    found = list_runs(database)
    assert [(run.run_id, run.phase, run.groups, run.scores) for run in found] == [
        ("old", "finished", 3, 6),
        ("new", "train", 3, 6),
    ]
    assert all(run.bytes > 0 for run in found)


def test_the_command_refuses_what_is_not_there_or_goes_on(database, tmp_path, capsys):
    url = {"database_url": database.url.render_as_string(hide_password=False), "runs": tmp_path}
    with pytest.raises(CommandError, match="no run older in the database"):
        prune(["older"], **url)
    with pytest.raises(CommandError, match=r"run new is not finished \(phase train\)"):
        prune(["old", "new"], **url)
    prune(["old"], **url)
    assert "old: " in capsys.readouterr().out
    list_(**url)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("new ")
    prune(["new"], unfinished=True, **url)
    assert list_runs(database) == []


def test_a_run_is_shown_on_one_screen(database, tmp_path, capsys):
    with database.begin() as connection:
        fixed = {"run_id": "old", "domain": "overall", "version": 0, "prompts": 3, "samples": 3}
        rows = [fixed | {"label": "before", "mean": 0.25}, fixed | {"label": "after", "mean": 0.5}]
        connection.execute(insert(Evaluation), rows)
    folder = tmp_path / "old"
    folder.mkdir()
    (folder / "report.html").write_bytes(bytes(2_000_000))
    url = {"database_url": database.url.render_as_string(hide_password=False), "runs": tmp_path}
    show("old", **url)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 24
    shown = {line[:11].strip(): line[11:] for line in lines}
    assert shown["state"] == "finished"
    assert (shown["recipe"], shown["model"]) == ("demo", "models/tiny")
    assert shown["groups"] == "train: 3 open"
    assert shown["held out"].split() == ["overall", "before", "0.250,", "after", "0.500", "(+0.250)"]
    assert shown["disk"].startswith("2.0 MB")
    assert shown["report"] == str(folder / "report.html")
    show("new", as_json=True, **url)
    found = json.loads(capsys.readouterr().out)
    assert (found["phase"], found["scores"], found["disk_bytes"]) == ("train", 6, None)
    with pytest.raises(CommandError, match="no run older in the database"):
        show("older", **url)
