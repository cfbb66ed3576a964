"""The one-shot preparation, on prompts of one's own: no model is trained."""

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from infra.settings.load import load


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "prompts.jsonl").write_text("")
    return {
        "REWARDSTREAM_RUN__ID": "compose",
        "REWARDSTREAM_RUN__FOLDER": str(tmp_path / "runs"),
        "REWARDSTREAM_BROKER__KIND": "cluster",
        "REWARDSTREAM_BROKER__BOOTSTRAP_SERVERS": "kafka:9092",
        "REWARDSTREAM_DATA__PROMPTS": str(tmp_path / "prompts.jsonl"),
    }


def prepare(environment: dict[str, str], recipe: str = "demo") -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "infra.compose.prepare", "--recipe", recipe]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)


def test_every_service_finds_recipe_and_environment_in_one_file(environment: dict[str, str], tmp_path: Path) -> None:
    done = prepare(environment)
    assert done.returncode == 0, done.stderr
    file = tmp_path / "runs/compose/settings.json"
    settings = load(str(file)).settings
    assert settings.broker.bootstrap_servers == "kafka:9092"
    assert settings.learner.learning_rate == load("demo").settings.learner.learning_rate
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads((file.parent / "facts.json").read_text())["broker"] == "cluster at kafka:9092"
    assert (tmp_path / "runs/latest").resolve() == file.parent


def test_preparing_twice_is_as_once(environment: dict[str, str], tmp_path: Path) -> None:
    prepare(environment)
    first = (tmp_path / "runs/compose/settings.json").read_bytes()
    assert prepare(environment).returncode == 0
    assert (tmp_path / "runs/compose/settings.json").read_bytes() == first


def test_a_recipe_that_is_not_there_is_named(environment: dict[str, str], tmp_path: Path) -> None:
    done = prepare(environment, recipe="elsewhere")
    assert done.returncode == 2
    assert "elsewhere" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "runs/compose/settings.json").exists()
