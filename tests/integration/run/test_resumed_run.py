"""A run that was stopped in training goes on by `train --resume` or `up --resume`, and ends sound."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.waiting import wait_until

from infra.local.state import read_state

pytestmark = [pytest.mark.slow, pytest.mark.kafka, pytest.mark.timeout(600)]


def endless() -> list[str]:
    """Options of a run on Kafka that trains until it is stopped."""
    home = os.environ.get("KAFKA_HOME")
    if home is None:
        pytest.skip("KAFKA_HOME is not set")
    chosen = {
        "broker.kind": "kafka",
        "broker.kafka_home": home,
        "selector.max_steps": 0,
        "selector.eval_at_start": "false",
        "selector.preppo.enabled": "false",
    }
    return [word for name, value in chosen.items() for word in ("--set", f"{name}={value}")]


def test_an_interrupted_run_goes_on_and_ends_sound(start) -> None:
    tiny = start("--no-screen", *endless())
    steps = tiny.runs / "latest" / "steps.jsonl"
    tiny.await_(lambda: steps.is_file() and len(steps.read_text().splitlines()) > 1, "two steps", seconds=240)
    tiny.process.send_signal(signal.SIGINT)
    assert tiny.process.wait(30) == 130, tiny.output()
    run_id = (tiny.runs / "latest").readlink().name
    assert f"rewardstream train --resume {run_id}" in tiny.output()
    assert f"rewardstream report --run {run_id}" in tiny.output()
    made = len(steps.read_text().splitlines())

    resumed = ("train", "--resume", run_id, "--no-screen", "--set", f"selector.max_steps={made + 2}")
    found = rewardstream(*resumed, "--run-folder", str(tiny.runs))
    assert found.returncode == 0, found.stdout + found.stderr
    summary = json.loads((tiny.runs / run_id / "summary.json").read_text())
    assert (summary["finished"], summary["policy_versions"]) == (True, made + 2)
    assert summary["audit"]["violations"] == []
    audit = rewardstream("audit", "--run", run_id, "--run-folder", str(tiny.runs))
    assert audit.returncode == 0, audit.stdout + audit.stderr
    versions = [json.loads(line)["version"] for line in steps.read_text().splitlines()]
    assert versions[-1] == made + 2
    assert versions[made] > 1  # it did not begin again


def test_a_stack_in_the_background_goes_on_where_it_was_put_down(tiny_folder: Path, run_folder: Path) -> None:
    runs = run_folder / "runs"
    own = {
        "model.path": "model",
        "genrm.model": "judge",
        "data.prompts": "train.jsonl",
        "data.heldout": "heldout.jsonl",
    }
    files = [word for name, value in own.items() for word in ("--set", f"{name}={tiny_folder / value}")]
    try:
        up("--recipe", str(tiny_folder / "tiny.toml"), *endless(), *files, "--run-folder", str(runs))
        run_id = (runs / "latest").readlink().name
        steps = runs / run_id / "steps.jsonl"
        wait_until(lambda: versions_in(steps)[-1] > 1, "two steps", seconds=240, details=lambda: stack_log(runs))
        down = rewardstream("down", "--run-folder", str(runs))
        assert down.returncode == 0, down.stdout + down.stderr
        assert f"To go on: rewardstream up --resume {run_id}" in down.stdout
        made = len(versions_in(steps))

        up("--resume", run_id, "--set", f"selector.max_steps={made + 2}", "--run-folder", str(runs))
        wait_until(lambda: not is_up(runs), "the run's end", seconds=240, details=lambda: stack_log(runs))
        audit = rewardstream("audit", "--run", run_id, "--run-folder", str(runs))
        assert audit.returncode == 0, audit.stdout + audit.stderr
        assert "finished" in audit.stdout
        assert versions_in(steps)[-1] == made + 2
        assert versions_in(steps)[made] > 1  # it did not begin again
    finally:
        rewardstream("down", "--run-folder", str(runs))


def up(*arguments: str) -> None:
    found = rewardstream("up", *arguments)
    assert found.returncode == 0, found.stdout + found.stderr


def is_up(runs: Path) -> bool:
    state = read_state(runs)
    return state is not None and state.process is not None


def versions_in(steps: Path) -> list[int]:
    """The version of each step; 0 before the first."""
    lines = steps.read_text().splitlines() if steps.is_file() else []
    return [json.loads(line)["version"] for line in lines] or [0]


def stack_log(runs: Path) -> str:
    return (runs / "stack.log").read_text()


def rewardstream(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "infra.cli.main", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
