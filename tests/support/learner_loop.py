"""The neighbours of the learner in a test: tickets and verdicts in, versions and closings out."""

import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from kafka import KafkaProducer

from infra.local.service_commands import service_specs
from infra.settings.tree import Settings
from streams.clients import LogReader, confirm, publish
from streams.codec import decode_by_schema
from streams.messages import GroupClosed, LineageStarted, PolicyVersion, VersionSpan, group_id, rollout_id
from streams.topics import Topic, topic_name
from support.builders import scored, ticket

_DEADLINE_SECONDS = 90.0
"""No assertion: only ends a test that waits for what never comes."""


@dataclass
class LearnerLoop:
    settings: Settings
    bootstrap: str
    producer: KafkaProducer
    folder: Path
    children: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def topic(self, topic: Topic) -> str:
        return topic_name(self.settings.topics.prefix, topic)

    def dispatch(self, *seqs: int, scores: tuple[float | None, ...] = (1.0, 0.0), version: int = 0) -> None:
        """A ticket and its verdicts for each group, one verdict a sample."""
        run = self.settings.run.id
        sent = []
        for seq in seqs:
            name = group_id(run, seq)
            message = msgspec.structs.replace(ticket(seq, samples=len(scores)), run_id=run, group_id=name)
            sent.append(publish(self.producer, self.topic(Topic.PROMPTS), message, name))
            for index, score in enumerate(scores):
                verdict = scored(
                    seq, index, score, size=len(scores), tokens=(5 + index, 6, 7), spans=[VersionSpan(0, version, 3)]
                )
                rollout = msgspec.structs.replace(
                    verdict.rollout, run_id=run, group_id=name, rollout_id=rollout_id(name, index)
                )
                verdict = msgspec.structs.replace(verdict, rollout=rollout)
                sent.append(publish(self.producer, self.topic(Topic.SCORED), verdict, name))
        confirm(self.producer, sent, 20)

    def start(self) -> subprocess.Popen[bytes]:
        """The learner as its supervisor starts it."""
        file = self.folder / "settings.json"
        file.write_text(self.settings.model_dump_json())
        learner = next(spec for spec in service_specs(self.settings, file) if spec.name == "learner")
        command = learner.argv(0)
        log = (self.folder / f"learner-{len(self.children)}.log").open("wb")
        child = subprocess.Popen(command, stderr=log, env={**os.environ, "OMP_NUM_THREADS": "1"})
        self.children.append(child)
        return child

    def read(self, topic: Topic) -> LogReader:
        return LogReader(self.settings.broker, self.bootstrap, [self.topic(topic)])

    def closings_until(self, enough: Callable[["Closings"], bool]) -> "Closings":
        """What `groups.closed` holds, once it holds enough."""
        found = Closings()
        deadline = time.monotonic() + _DEADLINE_SECONDS
        with self.read(Topic.GROUPS_CLOSED) as reader:
            while not enough(found):
                assert time.monotonic() < deadline, f"only {found} came; {self.log_tail()}"
                assert self.children[-1].poll() is None, f"the learner ended: {self.log_tail()}"
                for record in reader.poll(0.2):
                    found.add(decode_by_schema(record.value, record.headers))
        return found

    def closings_of_the_log(self) -> "Closings":
        """All that `groups.closed` holds now."""
        found = Closings()
        with self.read(Topic.GROUPS_CLOSED) as reader:
            for record in reader.read_to_end():
                found.add(decode_by_schema(record.value, record.headers))
        return found

    def versions(self) -> list[PolicyVersion]:
        with self.read(Topic.POLICY_VERSIONS) as reader:
            found = [decode_by_schema(record.value, record.headers) for record in reader.read_to_end()]
        return [message for message in found if isinstance(message, PolicyVersion)]

    def log_tail(self) -> str:
        return (self.folder / f"learner-{len(self.children) - 1}.log").read_text()[-2000:]


@dataclass
class Closings:
    closed: list[GroupClosed] = field(default_factory=list)
    lineages: list[LineageStarted] = field(default_factory=list)

    def add(self, message: msgspec.Struct) -> None:
        if isinstance(message, GroupClosed):
            self.closed.append(message)
        elif isinstance(message, LineageStarted):
            self.lineages.append(message)

    def surviving(self) -> list[GroupClosed]:
        """Those that no later lineage overrides."""
        return [
            each
            for each in self.closed
            if not any(later.lineage > each.lineage and later.ordinal <= each.ordinal for later in self.lineages)
        ]
