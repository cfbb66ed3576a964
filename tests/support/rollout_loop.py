"""The neighbours of the rollout worker in a test: its tickets, its versions, and who reads its rollouts."""

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from kafka import KafkaProducer

from infra.settings.tree import Settings
from streams.clients import LogReader, confirm, publish
from streams.codec import decode
from streams.messages import PolicyVersion, PromptTicket, Purpose, Question, Rollout, Sampling, group_id
from streams.records import Record
from streams.topics import Topic, topic_name
from workers.models.model_files import WEIGHTS_FILE, file_sha256

_runs = count()
_DEADLINE_SECONDS = 60.0
"""No assertion: only ends a test that waits for what never comes."""


@dataclass
class Loop:
    """The two neighbours of the worker: who writes tickets and versions, and who reads rollouts."""

    settings: Settings
    bootstrap: str
    producer: KafkaProducer
    folder: Path
    children: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def topic(self, topic: Topic) -> str:
        return topic_name(self.settings.topics.prefix, topic)

    def ticket(self, seq: int, *, samples: int = 2, new: int = 12, **changes: Any) -> PromptTicket:
        fields: dict[str, Any] = {
            "run_id": self.settings.run.id,
            "group_id": group_id(self.settings.run.id, seq),
            "seq": seq,
            "prompt_id": f"p{seq}",
            "domain": "letters",
            "purpose": Purpose.TRAIN,
            "samples": samples,
            "messages": ({"role": "user", "content": f"go on {seq}"},),
            "question": Question(prompt=f"go on {seq}", verifier="exact" if seq % 2 else None),
            "sampling": Sampling(temperature=1.0, max_new_tokens=new, seed=seq),
            "deadline": time.time() + 600,
            "dispatched_at": time.time(),
        }
        return PromptTicket(**(fields | changes))

    def dispatch(self, *tickets: PromptTicket) -> None:
        topic = self.topic(Topic.PROMPTS)
        confirm(self.producer, [publish(self.producer, topic, each, each.group_id) for each in tickets], 20)

    def announce(self, folder: Path, version: int, *, lineage: int = 0, sha256: str | None = None) -> None:
        message = PolicyVersion(
            run_id=self.settings.run.id,
            lineage=lineage,
            version=version,
            uri=str(folder),
            sha256=sha256 or file_sha256(folder / WEIGHTS_FILE),
            step=version,
            announced_at=time.time(),
        )
        self.tell(message)

    def tell(self, message: PolicyVersion) -> None:
        sent = publish(self.producer, self.topic(Topic.POLICY_VERSIONS), message, self.settings.run.id)
        confirm(self.producer, [sent], 20)

    def read(self, topic: Topic) -> LogReader:
        return LogReader(self.settings.broker, self.bootstrap, [self.topic(topic)])

    def start(self) -> subprocess.Popen[bytes]:
        """The worker as its supervisor starts it."""
        file = self.folder / "settings.json"
        file.write_text(self.settings.model_dump_json())
        command = [sys.executable, "-c", "from infra.cli.main import main; main()", "serve", "rollout"]
        command += ["--settings-file", str(file), "--metrics-port", "0"]
        child = subprocess.Popen(command, stderr=(self.folder / f"worker-{len(self.children)}.log").open("wb"))
        self.children.append(child)
        return child


def read_until(
    reader: LogReader, enough: Callable[[list[Record]], bool], turn: Callable[[], object] | None = None
) -> list[Record]:
    """Records until `enough`; between two reads the worker under test takes its turn."""
    records: list[Record] = []
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while not enough(records):
        assert time.monotonic() < deadline, f"only {len(records)} records came"
        if turn is not None:
            turn()
        records += reader.poll(timeout=0.0 if turn else 0.2)
    return records


def rollouts_of(records: list[Record]) -> dict[str, Rollout]:
    """By id, the first of each."""
    found: dict[str, Rollout] = {}
    for record in records:
        rollout = decode(record.value, Rollout)
        found.setdefault(rollout.rollout_id, rollout)
    return found
