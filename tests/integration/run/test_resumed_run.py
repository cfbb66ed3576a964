"""A run that was interrupted in training goes on by `train --resume` and ends sound."""

import json
import os
import signal
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.kafka, pytest.mark.timeout(600)]


def test_an_interrupted_run_goes_on_and_ends_sound(start) -> None:
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
    tiny = start("--no-screen", *(word for name, value in chosen.items() for word in ("--set", f"{name}={value}")))
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


def rewardstream(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "infra.cli.main", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
