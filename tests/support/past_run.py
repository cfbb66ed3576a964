"""Groups of a run on its log, with the scores that its own scorer gave them."""

import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import pytest

from infra.cli.main import main
from streams.clients import LogReader
from streams.codec import decode
from streams.messages import Purpose, Question, Rollout, ScoredTrajectory, Status
from streams.records import Record
from streams.route_headers import route_of
from support.broker_run import RunOnBroker
from support.messages import rollout_of, ticket, verdict
from workers.scoring.rescore.topics import ScorerId, rescored_topic
from workers.verifiers.registry import load_verifier

MATH = Question(prompt="What is 2 + 3?", verifier="math", ground_truth="5")
JUDGED = Question(prompt="capital France", ground_truth="Paris")
RIGHT, WRONG = "The answer is 5", "The answer is 6"
INSTALLED = f"math@{load_verifier('math').version}"


class PastRun(RunOnBroker):
    def group(
        self,
        seq: int,
        texts: Sequence[str],
        scores: Sequence[float | None],
        *,
        question: Question = MATH,
        purpose: Purpose = Purpose.TRAIN,
        domain: str = "mathematics",
    ) -> list[Rollout]:
        """Its ticket, rollouts and verdicts, by math@0, in the log."""
        asked = ticket(seq, run_id=self.run_id, samples=len(texts), question=question, purpose=purpose, domain=domain)
        made = [
            rollout_of(asked, index, text=text, prompt=[1, 5, 6], tokens=[7, 8 + index], logprobs=[-5.5, -5.5])
            for index, text in enumerate(texts)
        ]
        verdicts = [_verdict(rollout, score) for rollout, score in zip(made, scores, strict=True)]
        self.send(asked, *made, *verdicts)
        return made

    def command(self, *arguments: str) -> list[str]:
        return ["rewardstream", *arguments, "--run-folder", str(self.folder)]

    def rescore(self, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
        """The command in this process; its exit code."""
        return self.run(monkeypatch, "rescore", "--run", self.run_id, *arguments)

    def run(self, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", self.command(*arguments))
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0)

    def process(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """The command as a process, its output in pipes."""
        command = [sys.executable, "-m", "infra.cli.main", *self.command(*arguments)[1:]]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, **options
        )

    def new_records(self, scorer: str = INSTALLED) -> list[Record]:
        """All of the topic of new scores, copies included."""
        topic = rescored_topic(self.settings.topics.prefix, ScorerId.parse(scorer))
        with LogReader(self.settings.broker, self.bootstrap, [topic]) as reader:
            return list(reader.read_to_end())

    def new_scores(self, scorer: str = INSTALLED) -> dict[str, float | None]:
        """The scores by the rollout's id within the run; the first of several counts."""
        found: dict[str, float | None] = {}
        for record in self.new_records(scorer):
            scored = decode(record.value, ScoredTrajectory)
            found.setdefault(scored.rollout.rollout_id.removeprefix(f"{self.run_id}:"), scored.score)
        return found


def _verdict(of: Rollout, score: float | None) -> ScoredTrajectory:
    status = Status.INFRA_ERROR if score is None else Status.JUDGED
    return verdict(of, score, status=status, why="as it was", route=route_of(of.question), scorer_version="0")
