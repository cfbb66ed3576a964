"""A learner that trains on a past run's log: from the scores of the run, or from those of a rescore."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.past_run import INSTALLED, RIGHT, WRONG, PastRun
from support.tiny_model import save_tiny_model

from infra.cli.errors import ExitCode
from streams.clients import LogReader
from streams.topics import Topic


@pytest.fixture(autouse=True)
def own_logging(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command's would outlive it in this process."""
    monkeypatch.setattr("infra.logs.set_up", lambda *_: None)


@dataclass
class Training:
    """The command, and what it leaves."""

    past: PastRun
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]
    model: Path

    def again(self, *scores: str) -> tuple[dict[str, Any], str]:
        """The one step's line and what the command said."""
        code = self.past.run(
            self.monkeypatch,
            *("train", "--from-run", self.past.run_id, *scores, "--model", str(self.model)),
            *(
                "--set",
                "learner.advantage=group",
                "--set",
                "learner.value.kind=none",
                "--set",
                "learner.warmup_steps=0",
            ),
            *("--set", "learner.batch_wait_seconds=0.2", "--set", "selector.admission.groups_per_step=3"),
        )
        out = self.capsys.readouterr().out
        assert code == 0
        file = next(line for line in out.splitlines() if line.startswith("steps in")).split()[-1]
        [line] = Path(file).read_text().splitlines()
        return json.loads(line), out


@pytest.fixture
def training(
    past: PastRun, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Training:
    return Training(past, monkeypatch, capsys, save_tiny_model(tmp_path / "model", seed=0))


def test_rewards_are_those_of_the_scores_that_are_named(past: PastRun, training: Training) -> None:
    """The run scored 1 and 0.5; no spread; an infra_error. The rescore says right and wrong, three times."""
    past.group(0, (RIGHT, WRONG), (1.0, 0.5))
    past.group(1, (RIGHT, WRONG), (1.0, 1.0))
    past.group(2, (RIGHT, WRONG), (None, 1.0))
    assert past.rescore(training.monkeypatch, "--scorer", "math") == 0
    written = _ends(past)

    old, said = training.again()
    assert (old["reward"], old["groups"], old["version"]) == (0.75, 1, 1)
    for outcome in ("1 trained", "1 filtered", "1 failed"):
        assert outcome in said

    new, said = training.again("--scores", INSTALLED)
    assert (new["reward"], new["groups"], new["version"]) == (0.5, 3, 1)
    assert "groups     3 trained" in said
    assert new["policy_gradient_norm"] > 0
    assert _ends(past) == written
    assert not (past.folder / "latest").exists()


def test_scores_that_nobody_made_are_refused(
    past: PastRun, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    past.group(0, (RIGHT, WRONG), (1.0, 0.5))
    assert past.run(monkeypatch, "train", "--from-run", past.run_id, "--scores", "math@999") == ExitCode.UNREACHABLE
    error = capsys.readouterr().err
    assert f"run {past.run_id} has no scores of math@999" in error
    assert "only the scores of the run itself" in error
    assert not list(past.folder.glob("*-again*"))


def _ends(past: PastRun) -> dict[Any, int]:
    """The ends of the old run's topics that a learner writes to."""
    topics = [past.topic(topic) for topic in (Topic.GROUPS_CLOSED, Topic.POLICY_VERSIONS, Topic.DEAD_LETTERS)]
    with LogReader(past.settings.broker, past.bootstrap, topics) as reader:
        list(reader.read_to_end())
        return reader.end_offsets()
