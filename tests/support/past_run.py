"""Groups of a run on its log, with the scores that its own scorer gave them."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from kafka import KafkaProducer

from infra.cli.main import main
from infra.settings.tree import Settings
from streams.arrays import pack_logprobs, pack_tokens
from streams.clients import LogReader, confirm, publish
from streams.codec import decode
from streams.messages import (
    PromptTicket,
    Purpose,
    Question,
    Rollout,
    ScoredTrajectory,
    Segment,
    Source,
    Status,
    VersionSpan,
    group_id,
    rollout_id,
)
from streams.records import Record
from streams.route_headers import route_of
from streams.topics import Topic, topic_name
from support.examples import EXAMPLES, ROLLOUT
from workers.scoring.rescore.topics import ScorerId, rescored_topic
from workers.verifiers.registry import load_verifier

MATH = Question(prompt="What is 2 + 3?", verifier="math", ground_truth="5")
JUDGED = Question(prompt="capital France", ground_truth="Paris")
RIGHT, WRONG = "The answer is 5", "The answer is 6"
INSTALLED = f"math@{load_verifier('math').version}"


@dataclass
class PastRun:
    settings: Settings
    root: Path
    producer: KafkaProducer

    @property
    def run_id(self) -> str:
        return self.settings.run.id

    @property
    def bootstrap(self) -> str:
        return self.settings.broker.bootstrap_servers

    def topic(self, topic: Topic) -> str:
        return topic_name(self.settings.topics.prefix, topic)

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
        asked = {"question": question, "purpose": purpose, "domain": domain, "group_size": len(texts)}
        made = [self._rollout(seq, index, text=text, **asked) for index, text in enumerate(texts)]
        sent = [publish(self.producer, self.topic(Topic.PROMPTS), self._ticket(made[0]), made[0].group_id)]
        for rollout, score in zip(made, scores, strict=True):
            sent.append(publish(self.producer, self.topic(Topic.ROLLOUTS), rollout, rollout.group_id))
            sent.append(publish(self.producer, self.topic(Topic.SCORED), _verdict(rollout, score), rollout.group_id))
        confirm(self.producer, sent, 20)
        return made

    def command(self, *arguments: str) -> list[str]:
        return ["rewardstream", *arguments, "--run-folder", str(self.root)]

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
        """By the rollout's id within the run; the first counts."""
        found: dict[str, float | None] = {}
        for record in self.new_records(scorer):
            scored = decode(record.value, ScoredTrajectory)
            found.setdefault(scored.rollout.rollout_id.removeprefix(f"{self.run_id}:"), scored.score)
        return found

    def _ticket(self, first: Rollout) -> PromptTicket:
        ticket = next(each for each in EXAMPLES if isinstance(each, PromptTicket))
        return msgspec.structs.replace(
            ticket,
            run_id=self.run_id,
            group_id=first.group_id,
            seq=first.seq,
            prompt_id=first.prompt_id,
            domain=first.domain,
            purpose=first.purpose,
            samples=first.group_size,
            question=first.question,
        )

    def _rollout(self, seq: int, index: int, **fields: Any) -> Rollout:
        group = group_id(self.run_id, seq)
        return msgspec.structs.replace(
            ROLLOUT,
            run_id=self.run_id,
            group_id=group,
            rollout_id=rollout_id(group, index),
            seq=seq,
            prompt_id=f"p{seq}",
            index=index,
            segments=(
                Segment(source=Source.PROMPT, token_ids=pack_tokens([1, 5, 6])),
                Segment(
                    source=Source.POLICY, token_ids=pack_tokens([7, 8 + index]), logprobs=pack_logprobs([-5.5, -5.5])
                ),
            ),
            spans=(VersionSpan(lineage=0, version=0, tokens=2),),
            **fields,
        )


def _verdict(rollout: Rollout, score: float | None) -> ScoredTrajectory:
    return ScoredTrajectory(
        rollout=rollout,
        score=score,
        status=Status.INFRA_ERROR if score is None else Status.JUDGED,
        why="as it was",
        route=route_of(rollout.question),
        scorer="math",
        scorer_version="0",
        seconds=0.0,
        scored_at=1000.0,
    )
