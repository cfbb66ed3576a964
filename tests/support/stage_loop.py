"""The topics of one run on a real broker, and the stages between them as processes."""

import json
import socket
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from infra.settings.tree import Settings
from streams.clients import LogReader, confirm, make_admin, make_producer, publish
from streams.messages import Question, Rollout
from streams.records import Record
from streams.route_headers import route_headers
from streams.topics import Topic, topic_name
from support.examples import ROLLOUT
from support.stage_process import running, serving_stage

PATIENCE = 40.0
"""Imports, the start of a verifier process, and a join of the group; on a busy machine."""


class Loop:
    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings
        self.folder = folder
        self.bootstrap = settings.broker.bootstrap_servers
        self.producer = make_producer(settings.broker, self.bootstrap)

    def close(self) -> None:
        self.producer.close()

    def topic(self, topic: Topic) -> str:
        return topic_name(self.settings.topics.prefix, topic)

    def publish(self, rollouts: list[Rollout], topic: Topic = Topic.ROLLOUTS) -> None:
        deliveries = [
            publish(self.producer, self.topic(topic), rollout, rollout.group_id, **route_headers(rollout.question))
            for rollout in rollouts
        ]
        confirm(self.producer, deliveries, 10)

    def read(self, topic: Topic, count: int) -> list[Record]:
        """At least `count` records from the beginning of the topic."""
        records: list[Record] = []
        deadline = time.monotonic() + PATIENCE
        with LogReader(self.settings.broker, self.bootstrap, [self.topic(topic)]) as reader:
            while len(records) < count:
                if time.monotonic() > deadline:
                    logs = "\n".join(path.read_text() for path in self.folder.glob("*.log"))
                    pytest.fail(f"{len(records)} of {count} on {topic}:\n{logs}")
                records += reader.poll(0.2)
        return records

    def committed(self, stage: str) -> int:
        group = f"{self.settings.topics.prefix}.{stage}"
        admin = make_admin(self.settings.broker, self.bootstrap)
        offsets = admin.list_group_offsets(group)
        admin.close()
        return sum(offset.offset for offset in offsets.get(group, {}).values())

    def serve(self, stage: str, metrics_port: int = 0, **env: str):
        """As the local stack does, from a settings file that may be changed while it runs."""
        log = self.folder / f"{stage}.log"
        return serving_stage(stage, self.write_settings(), log, metrics_port, env)

    def write_settings(self, **genrm: object) -> Path:
        """With another judge, where one is given."""
        tree = self.settings.model_dump(mode="json")
        tree["genrm"] |= genrm
        path = self.folder / "settings.json"
        new = path.with_suffix(".new")
        new.write_text(json.dumps(tree))
        return new.replace(path)

    def log_says(self, stage: str, text: str) -> bool:
        return text in (self.folder / f"{stage}.log").read_text()

    def run(self, stage: str, name: str = ""):
        return running(f"streams.apps.{stage}", self.settings, self.folder / f"{stage}{name}.log")


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def rollout(number: int, answer: str = "The answer is 5", **question: object) -> Rollout:
    asked = Question(**{"prompt": "What is 2 + 3?", "verifier": "math", "ground_truth": "5"} | question)
    return msgspec.structs.replace(
        ROLLOUT, group_id=f"r1:{number}", rollout_id=f"r1:{number}/0", index=0, text=answer, question=asked
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
