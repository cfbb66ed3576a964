"""What a run that goes on may change, and what is said where it cannot."""

import os
from pathlib import Path

import psutil
import pytest

from infra.cli.errors import ExitCode
from infra.cli.resume import how_to_go_on, resume_settings
from infra.local.run_folder import write_settings
from infra.local.state import StackState, write_state
from infra.settings.load import leaves, with_changes
from infra.settings.resumable import RESUMABLE, refused_changes
from infra.settings.tree import Settings

REFUSED = {
    "data.prompts": "/other.jsonl",
    "topics.partitions": 8,
    "model.path": "/other",
    "learner.learning_rate": 0.5,
    "selector.group_size": 64,
    "genrm.model": "/other",
    "run.seed": 99,
}


def stopped_run(root: Path, kind: str = "kafka", **sections) -> Settings:
    folder = root / "r1"
    folder.mkdir(parents=True)
    settings = with_changes(
        Settings(),
        run={"id": "r1", "folder": root},
        topics={"prefix": "r1"},
        broker={"kind": kind, "bootstrap_servers": "127.0.0.1:1234", "kafka_home": Path("/kafka")},
        **sections,
    )
    write_settings(settings, folder)
    return settings


@pytest.mark.parametrize(("path", "value"), REFUSED.items())
def test_a_change_of_what_the_run_is_is_refused_with_its_reason(
    rewardstream, tmp_path: Path, path: str, value: object
) -> None:
    stopped_run(tmp_path)
    command = ("train", "--resume", "r1", "--run-folder", str(tmp_path), "--set", f"{path}={value}")
    code, _, error = rewardstream(*command)
    assert code == ExitCode.USAGE
    assert f"  {path} = {value} (the run has " in error
    assert "rewardstream train --settings-file" in error


def test_the_end_of_training_may_change_and_local_addresses_are_found_anew(tmp_path: Path) -> None:
    database = "postgresql+psycopg://rewardstream@/rewardstream?host=%2Ftmp%2Fgone"
    stopped_run(tmp_path, database={"url": database})
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "PG_VERSION").write_text("18")
    settings = resume_settings("r1", tmp_path, ["selector.max_steps=9"], (), {}).settings
    assert (settings.selector.max_steps, settings.run.id) == (9, "r1")
    assert (settings.broker.bootstrap_servers, settings.database.url) == ("", "")


def test_a_cluster_and_an_outside_database_keep_their_addresses(tmp_path: Path) -> None:
    stopped_run(tmp_path, "cluster", database={"url": "postgresql+psycopg://u:p@host/db"})
    settings = resume_settings("r1", tmp_path, None, (), {}).settings
    assert settings.broker.bootstrap_servers == "127.0.0.1:1234"
    assert settings.database.full_url() == "postgresql+psycopg://u:p@host/db"


def test_every_resumable_setting_exists_and_is_accepted() -> None:
    paths = [path for path, _ in leaves(Settings())]
    for name in RESUMABLE:
        assert any(path == name or path.startswith(f"{name}.") for path in paths), name
    refused = refused_changes(Settings(), with_changes(Settings(), selector={"max_steps": 3}, run={"seed": 4}))
    assert [line.split(" = ")[0] for line in refused] == ["run.seed"]


def test_the_embedded_broker_says_what_trains_on(rewardstream, tmp_path: Path) -> None:
    settings = stopped_run(tmp_path, "embedded")
    for name in ("lineage000-v000009", "lineage001-v000010"):
        (tmp_path / "r1" / "versions" / name).mkdir(parents=True)
    for command in ("train", "demo", "up"):
        code, _, error = rewardstream(command, "--resume", "r1", "--run-folder", str(tmp_path))
        assert code == ExitCode.UNREACHABLE
        assert "kept its log in memory" in error
        assert str(tmp_path / "r1" / "versions" / "lineage001-v000010") in error
    assert "--resume" not in how_to_go_on(settings)


def test_a_run_that_goes_on_or_is_finished_is_not_resumed(rewardstream, tmp_path: Path) -> None:
    stopped_run(tmp_path)
    own = psutil.Process(os.getpid())
    state = StackState(
        pid=own.pid, created=own.create_time(), run_id="r1", folder="", broker="kafka", bootstrap="", database=""
    )
    write_state(tmp_path, state)
    code, _, error = rewardstream("train", "--resume", "r1", "--run-folder", str(tmp_path))
    assert (code, "is going on" in error) == (ExitCode.USAGE, True)
    (tmp_path / "stack.json").unlink()
    (tmp_path / "r1" / "audit.json").write_text("{}")
    (tmp_path / "r1" / "summary.json").write_text('{"finished": true}')
    code, _, error = rewardstream("train", "--resume", "r1", "--run-folder", str(tmp_path))
    assert (code, "is finished" in error) == (ExitCode.USAGE, True)


def test_what_does_not_go_with_resume_is_named(rewardstream, tmp_path: Path) -> None:
    stopped_run(tmp_path)
    code, _, error = rewardstream("train", "--resume", "r1", "--recipe", "demo", "--run-folder", str(tmp_path))
    assert (code, "--recipe" in error) == (ExitCode.USAGE, True)
    code, _, error = rewardstream("train", "--resume", "gone", "--run-folder", str(tmp_path))
    assert (code, "it has r1" in error) == (ExitCode.UNREACHABLE, True)
