"""The loop from prompts to report, and a clean stop in each of its phases."""

import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

STOP_SECONDS = 10.0


@pytest.mark.parametrize("broker", ["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
def test_a_run_ends_with_summary_report_and_sound_audit(start, broker: str) -> None:
    home = os.environ.get("KAFKA_HOME")
    if broker == "kafka" and home is None:
        pytest.skip("KAFKA_HOME is not set")
    chosen = ("--set", f"broker.kind={broker}", *(("--set", f"broker.kafka_home={home}") if home else ()))
    tiny = start("--seed", "5", *chosen)
    code = tiny.process.wait(240)
    assert code == 0, tiny.output()
    latest = tiny.runs / "latest"
    summary = json.loads((latest / "summary.json").read_text())
    assert summary["finished"]
    assert summary["policy_versions"] == 2
    assert summary["groups"]["trained"] == 8
    assert {"overall", "by_skill", "by_domain"} == summary["heldout"].keys()
    assert summary["heldout"]["by_domain"].keys() == {"letters", "words"}
    assert len(summary["heldout"]["overall"]["delta_ci95"]) == 2
    assert summary["wall_seconds"] > summary["phase_seconds"]["train"] > 0
    assert summary["seed"] == 5
    assert summary["broker"].startswith(broker)
    assert summary["audit"]["violations"] == []
    page = (latest / "report.html").read_text()
    assert "say a" in page
    assert 'src="data:image/png;base64,' in page
    assert "http://" not in page
    assert "https://" not in page
    for command in (("audit",), ("prompts", "explain", _some_prompt(latest)), ("report",)):
        found = _rewardstream(*command, "--run-folder", str(tiny.runs))
        assert found.returncode == 0, found.stderr
    audit = _rewardstream("audit", "--json", "--run-folder", str(tiny.runs))
    assert json.loads(audit.stdout)["groups"] == summary["audit"]["groups"]


def test_a_synchronous_run_trains_on_policy_and_measures_beside(start) -> None:
    """S = 0: engine and learner wait for each other, and at none of the run's turns for ever."""
    tiny = start(
        *("--set", "selector.admission.staleness=0", "--set", "selector.max_steps=3"),
        *("--set", "selector.eval_every_versions=1", "--set", 'learner.loggers=["tensorboard"]'),
    )
    assert tiny.process.wait(240) == 0, tiny.output()
    latest = tiny.runs / "latest"
    steps = [json.loads(line) for line in (latest / "steps.jsonl").read_text().splitlines()]
    assert [step["version"] for step in steps] == [1, 2, 3]
    assert all(set(step["staleness"]) == {0} for step in steps)
    assert all(step["token_staleness"] == 0 and step["logprob_diff_mean"] is not None for step in steps)
    summary = json.loads((latest / "summary.json").read_text())
    assert summary["audit"]["violations"] == []
    measured = [point["label"] for point in summary["heldout_by_version"]]
    assert {"before", "v1", "after"} <= set(measured)
    assert all(list((latest / "tensorboard" / writer).glob("events.*")) for writer in ("learner", "selector"))


_LONG_PHASE = {
    "stack": (),
    "eval_before": ("selector.eval_samples=100",),
    "preppo": ("selector.preppo.samples=200",),
    "train": ("selector.max_steps=0",),
    "eval_after": ("selector.eval_samples=100",),
}
"""What makes a phase last until it is seen."""


@pytest.mark.parametrize("phase", _LONG_PHASE)
def test_interrupt_stops_everything_within_ten_seconds(start, phase: str) -> None:
    tiny = start(*(word for setting in _LONG_PHASE[phase] for word in ("--set", setting)))
    if phase == "stack":
        tiny.await_((tiny.runs / "latest" / "settings.json").is_file, "the settings of the run")
    else:
        tiny.await_(lambda: tiny.phase_is(phase), f"phase {phase}")
    left = tiny.descendants()
    asked = time.monotonic()
    tiny.process.send_signal(signal.SIGINT)
    assert tiny.process.wait(STOP_SECONDS) == 130, tiny.output()
    _, alive = psutil.wait_procs(left, STOP_SECONDS - (time.monotonic() - asked))
    assert alive == []
    assert "Traceback" not in tiny.output()


def _some_prompt(folder) -> str:
    """The id of a prompt that the run dispatched, from its report's database."""
    listed = _rewardstream("prompts", "list", "--json", "--limit", "1", "--run-folder", str(folder.parent))
    assert listed.returncode == 0, listed.stderr
    return str(json.loads(listed.stdout.splitlines()[0])["id"])


def _rewardstream(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "infra.cli.main", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
