"""What `rescore` and `train --from-run` say where they cannot begin."""

from pathlib import Path

import pytest

from infra.cli.errors import ExitCode
from infra.local.ports import free_port
from infra.local.run_folder import write_settings
from infra.settings.tree import Settings


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A run whose embedded broker ended with it."""
    broker = {"kind": "embedded", "bootstrap_servers": f"127.0.0.1:{free_port()}"}
    (tmp_path / "r1").mkdir()
    write_settings(
        Settings.model_validate({"run": {"id": "r1"}, "topics": {"prefix": "r1"}, "broker": broker}), tmp_path / "r1"
    )
    return tmp_path


@pytest.mark.parametrize("command", [("rescore", "--run", "r1", "--scorer", "math"), ("train", "--from-run", "r1")])
def test_the_log_of_an_embedded_broker_is_gone_with_its_stack(rewardstream, runs: Path, command: tuple[str, ...]):
    code, _, error = rewardstream(*command, "--run-folder", str(runs))
    assert code == ExitCode.UNREACHABLE
    assert "the log of run r1 is gone: the embedded broker kept it in memory" in error
    assert "while the stack is up" in error
    assert "KAFKA_HOME" in error
    assert [path.name for path in runs.iterdir()] == ["r1"]


def test_a_scorer_without_a_name_is_refused(rewardstream, runs: Path):
    code, _, error = rewardstream("rescore", "--run", "r1", "--scorer", "@2", "--run-folder", str(runs))
    assert (code, "write NAME@VERSION" in error) == (ExitCode.USAGE, True)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--scores", "math@2"), "name the run"),
        (("--from-run", "r1", "--prompts", "p.jsonl"), "--prompts cannot change them"),
        (("--from-run", "r1", "--recipe", "demo", "--minutes", "3"), "--recipe, --minutes cannot"),
    ],
)
def test_training_again_takes_no_other_prompts(rewardstream, runs: Path, options: tuple[str, ...], said: str):
    code, _, error = rewardstream("train", *options, "--run-folder", str(runs))
    assert code == ExitCode.USAGE
    assert said in error


def test_a_dry_run_of_training_again_shows_where_it_would_read(rewardstream, runs: Path):
    options = ("--from-run", "r1", "--scores", "math@2", "--set", "learner.minibatches=1", "--dry-run")
    code, out, _ = rewardstream("train", *options, "--run-folder", str(runs))
    lines = {line.split(" = ")[0]: line.split(" = ")[1] for line in out.splitlines()}
    assert code == 0
    assert lines["learner.replay.run"].split()[0] == '"r1"'
    assert lines["learner.replay.scores"].split()[0] == '"math@2"'
    assert lines["learner.minibatches"].split()[0] == "1"
