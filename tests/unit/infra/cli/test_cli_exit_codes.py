"""What is not there, wrong or full ends in its own exit code and one message, never in a traceback."""

import errno
import socket
from pathlib import Path

import pytest

from infra.cli.doctor import require_startable
from infra.cli.errors import CommandError, ExitCode, explain
from infra.cli.prepare_process import prepare_apart
from infra.settings.load import load
from infra.settings.sources import parse_assignment

NOWHERE = "127.0.0.1:9"  # discard: nothing listens there
NAMED = ("--set", "run.id=r", "--set", "topics.prefix=r")
QUICK = ("--set", "broker.connect_timeout_seconds=0.2")


def test_broker_that_is_not_there(rewardstream) -> None:
    code, out, err = rewardstream("topics", "create", "--bootstrap-servers", NOWHERE, *QUICK, *NAMED)
    assert (code, out) == (ExitCode.UNREACHABLE, "")
    assert err.startswith(f"error: no Kafka broker answers at {NOWHERE}")
    assert "--bootstrap-servers" in err


def test_database_that_is_not_there(rewardstream) -> None:
    code, _, err = rewardstream("db", "upgrade", "--database-url", f"postgresql://me:hush@{NOWHERE}/db")
    assert code == ExitCode.UNREACHABLE
    assert "no database at" in err
    assert "--database-url" in err
    assert "hush" not in err


def test_database_url_of_something_else(rewardstream) -> None:
    code, _, err = rewardstream("db", "upgrade", "--database-url", "sqlite:///x")
    assert code == ExitCode.USAGE
    assert "postgresql+psycopg://" in err


def test_model_path_that_is_not_there(rewardstream, tmp_path: Path) -> None:
    code, _, err = rewardstream("up", "--set", "model.path=/no/such/model", "--run-folder", str(tmp_path))
    assert code == ExitCode.UNREACHABLE
    assert "model.path = '/no/such/model'" in err
    assert list(tmp_path.iterdir()) == []  # nothing was started


def test_judge_that_is_not_there_is_told_by_its_own_setting() -> None:
    settings = load(options=[parse_assignment("genrm.model=/no/such/judge")]).settings
    with pytest.raises(CommandError, match=r"genrm\.model = '/no/such/judge'") as raised:
        require_startable(settings, cheaply=True)
    assert raised.value.code == ExitCode.UNREACHABLE


def test_judge_behind_an_endpoint_needs_no_files() -> None:
    options = [parse_assignment(f"genrm.{text}") for text in ("backend=openai", "endpoint=http://j/v1", "model=served")]
    require_startable(load(options=options).settings, cheaply=True)


def test_wrong_setting(rewardstream) -> None:
    code, _, err = rewardstream("topics", "list", "--set", "broker.bootstrap=x")
    assert code == ExitCode.USAGE
    assert "broker.bootstrap (option --set broker.bootstrap=x): no such setting" in err


def test_recipe_that_is_not_there(rewardstream) -> None:
    code, _, err = rewardstream("demo", "--recipe", "no-such")
    assert code == ExitCode.USAGE
    assert "demo-value" in err


def test_unknown_option(rewardstream) -> None:
    assert rewardstream("demo", "--no-such")[0] == ExitCode.USAGE


def test_run_that_is_not_there(rewardstream, tmp_path: Path) -> None:
    for command in ("report", "audit"):
        code, _, err = rewardstream(command, "--run", "gone", "--run-folder", str(tmp_path))
        assert code == ExitCode.UNREACHABLE
        assert "no run 'gone'" in err


def test_nothing_is_up(rewardstream, tmp_path: Path) -> None:
    assert rewardstream("status", "--run-folder", str(tmp_path))[0] == ExitCode.UNREACHABLE
    assert rewardstream("top", "--run-folder", str(tmp_path))[0] == ExitCode.UNREACHABLE
    code, _, err = rewardstream("reload", "rtv", "--run-folder", str(tmp_path))
    assert code != 0
    assert "nothing is up" in err
    assert rewardstream("down", "--run-folder", str(tmp_path))[:2] == (0, "nothing was up\n")


def test_metrics_port_that_is_taken(rewardstream) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, _, err = rewardstream("serve", "router", "--bootstrap-servers", NOWHERE, "--metrics-port", port, *NAMED)
    assert code == ExitCode.UNREACHABLE
    assert f"metrics port 127.0.0.1:{port} cannot be used" in err
    assert "--metrics-port" in err


@pytest.mark.parametrize(
    ("arguments", "missing"),
    [(("router",), "--bootstrap-servers"), (("selector", "--bootstrap-servers", NOWHERE), "--database-url")],
)
def test_a_single_service_needs_its_addresses(rewardstream, arguments: tuple[str, ...], missing: str) -> None:
    code, _, err = rewardstream("serve", *arguments)
    assert code == ExitCode.USAGE
    assert missing in err


@pytest.mark.parametrize("given", [(), NAMED[:2], NAMED[2:]])
def test_processes_of_a_run_need_its_id_and_prefix(rewardstream, given: tuple[str, ...]) -> None:
    """Two runs without would be one, on one broker and database."""
    code, _, err = rewardstream("serve", "router", "--bootstrap-servers", NOWHERE, *given)
    assert code == ExitCode.USAGE
    for name in ("run.id", "topics.prefix"):
        assert (f"--set {name}=NAME" in err) == (f"{name}=r" not in given)
    code, _, err = rewardstream("topics", "create", "--bootstrap-servers", NOWHERE)
    assert (code, "--set topics.prefix=NAME" in err) == (ExitCode.USAGE, True)


def test_train_without_prompts(rewardstream) -> None:
    code, _, err = rewardstream("train", "--recipe", "demo")
    assert code == ExitCode.USAGE
    assert "--prompts" in err


def test_dataset_that_is_not_there(rewardstream, tmp_path: Path) -> None:
    code, _, err = rewardstream("sft", str(tmp_path / "gone.jsonl"), str(tmp_path / "out"))
    assert code == ExitCode.UNREACHABLE
    assert "gone.jsonl" in err


def test_full_disk_is_found_below_what_wraps_it() -> None:
    error = ValueError("weights not written")
    error.__cause__ = OSError(errno.ENOSPC, "No space left on device", "runs/x")
    explained = explain(error)
    assert explained is not None
    assert explained[0] == ExitCode.DISK_FULL
    assert "run.folder" in explained[1]


def test_a_folder_that_cannot_be_made(rewardstream, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, _, err = rewardstream("demo", "--set", f"run.prepared={tmp_path / 'file' / 'prepared'}")
    assert code == ExitCode.UNREACHABLE
    assert str(tmp_path / "file") in err


def test_the_preparations_own_error_is_told(tmp_path: Path) -> None:
    options = [parse_assignment(f"run.prepared={tmp_path}"), parse_assignment("model.path=/no/such/model")]
    with pytest.raises(CommandError, match=r"^model\.path = '/no/such/model'") as raised:
        prepare_apart(load("demo", options).settings)
    assert raised.value.code == ExitCode.UNREACHABLE


def test_the_demo_is_checked_before_it_prepares(rewardstream, tmp_path: Path) -> None:
    options = ("--set", f"run.prepared={tmp_path / 'prepared'}", "--set", "model.path=/no/such/model")
    code, _, err = rewardstream("demo", *options, "--run-folder", str(tmp_path / "runs"))
    assert code == ExitCode.UNREACHABLE
    assert "model.path = '/no/such/model'" in err
    assert list(tmp_path.iterdir()) == []


def test_a_defect_keeps_its_traceback() -> None:
    assert explain(ZeroDivisionError()) is None


def test_a_command_names_its_own_code() -> None:
    assert explain(CommandError("no", ExitCode.FAILED)) == (ExitCode.FAILED, "no")


def test_reload_of_a_service_without_a_scorer_is_a_usage_error(rewardstream, tmp_path) -> None:
    code, _, err = rewardstream("reload", "router", "--run-folder", str(tmp_path))
    assert code == ExitCode.USAGE
    assert "router has no scorer to load again: reload takes rtv, genrm" in err
