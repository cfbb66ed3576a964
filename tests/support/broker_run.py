"""A run on a real broker: its topics, what is written to them and read from them, and the processes between them.

Each kind of test has a small subclass, which says what the service under test has for neighbours.
"""

import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import msgspec

from infra.local.run_folder import write_settings
from infra.local.service_commands import service_specs
from infra.settings.tree import Settings
from streams.admin import create_topics, topic_specs
from streams.clients import Delivery, LogReader, confirm, make_producer, publish, send
from streams.codec import decode_by_schema
from streams.messages import (
    GroupClosed,
    LineageStarted,
    PolicyVersion,
    PromptTicket,
    Rollout,
    ScoredTrajectory,
)
from streams.records import Output, Record
from streams.route_headers import route_headers
from streams.topics import Topic, topic_name
from support.messages import Keyed, key_of
from support.waiting import wait_until

TOPICS: dict[type, Topic] = {
    PromptTicket: Topic.PROMPTS,
    Rollout: Topic.ROLLOUTS,
    ScoredTrajectory: Topic.SCORED,
    GroupClosed: Topic.GROUPS_CLOSED,
    LineageStarted: Topic.GROUPS_CLOSED,
    PolicyVersion: Topic.POLICY_VERSIONS,
}
_CONFIRM_SECONDS = 30.0
_names = (f"t{number}-{time.time_ns()}" for number in count())


def run_settings(bootstrap: str, **sections: Mapping[str, Any]) -> Settings:
    """Settings of a run that no other test has, on two partitions; `sections` are merged over them."""
    name = next(_names)
    tree: dict[str, Any] = {
        "run": {"id": name},
        "topics": {"prefix": name, "partitions": 2},
        # The shortest session that Kafka allows: the embedded broker joins a group in half of it.
        "broker": {"kind": "cluster", "bootstrap_servers": bootstrap, "session_timeout_seconds": 6},
    }
    return Settings.model_validate(tree | {part: {**tree.get(part, {}), **values} for part, values in sections.items()})


@contextmanager
def killed_at_the_end(child: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    finally:
        child.kill()
        child.wait()


class RunOnBroker:
    """The run's topics exist; processes that a test starts are killed by `close`."""

    def __init__(self, settings: Settings, bootstrap: str, folder: Path) -> None:
        self.settings = settings
        self.bootstrap = bootstrap
        self.folder = folder
        self.children: list[subprocess.Popen[bytes]] = []
        create_topics(settings.broker, bootstrap, topic_specs(settings))
        self.producer = make_producer(settings.broker, bootstrap)

    def close(self) -> None:
        for child in self.children:
            child.kill()
            child.wait()
        self.producer.close()

    @property
    def run_id(self) -> str:
        return self.settings.run.id

    @property
    def run_folder(self) -> Path:
        return self.folder / self.run_id

    def topic(self, topic: Topic) -> str:
        return topic_name(self.settings.topics.prefix, topic)

    def send(self, *messages: Keyed, topic: Topic | None = None) -> list[Delivery]:
        """Writes each to its topic, or all to `topic`, with the key and headers of the service that writes it."""
        sent = []
        for message in messages:
            headers = route_headers(message.question) if isinstance(message, Rollout) else {}
            name = self.topic(topic or TOPICS[type(message)])
            sent.append(publish(self.producer, name, message, key_of(message), **headers))
        confirm(self.producer, sent, _CONFIRM_SECONDS)
        return sent

    def send_bytes(self, topic: Topic, value: bytes, *headers: tuple[str, bytes], key: bytes = b"key") -> None:
        """A record as no service of this version would write it."""
        confirm(self.producer, [send(self.producer, Output(self.topic(topic), key, value, headers))], _CONFIRM_SECONDS)

    def send_records(self, topic: Topic, records: Sequence[Record]) -> None:
        """Records that a test made, whatever is in them."""
        outputs = [Output(self.topic(topic), record.key, record.value, record.headers) for record in records]
        confirm(self.producer, [send(self.producer, output) for output in outputs], _CONFIRM_SECONDS)

    def reader(self, topic: Topic) -> LogReader:
        return LogReader(self.settings.broker, self.bootstrap, [self.topic(topic)])

    def records(self, topic: Topic) -> list[Record]:
        """All that the topic holds now."""
        with self.reader(topic) as reader:
            return list(reader.read_to_end())

    def messages(self, topic: Topic) -> list[msgspec.Struct]:
        """All that the topic holds now, decoded."""
        return [decode_by_schema(record.value, record.headers) for record in self.records(topic)]

    def read(self, topic: Topic, at_least: int) -> list[Record]:
        """From the topic's beginning."""
        with self.reader(topic) as reader:
            return self.read_until(reader, lambda records: len(records) >= at_least, f"{at_least} records on {topic}")

    def read_until(
        self,
        reader: LogReader,
        enough: Callable[[list[Record]], bool],
        awaited: str,
        turn: Callable[[], object] | None = None,
        details: Callable[[], str] = str,
    ) -> list[Record]:
        """The reader's next records, once they are enough; between two reads a service in this process has its turn."""
        records: list[Record] = []

        def read() -> bool:
            if enough(records):
                return True
            if turn is not None:
                turn()
            records.extend(reader.poll(timeout=0.0 if turn else 0.2))
            return False

        def report() -> str:
            return f"{len(records)} records came\n{details()}\n{self.logs()}"

        wait_until(read, awaited, interval=0, details=report)
        return records

    def write_settings(self) -> Path:
        return write_settings(self.settings, self.folder)

    def start(self, service: str, replica: str = "", metrics_port: int = 0, **env: str) -> subprocess.Popen[bytes]:
        """The service as its supervisor starts it; its output is appended to a log of its own."""
        spec = next(each for each in service_specs(self.settings, self.write_settings()) if each.name == service)
        return self.start_command(spec.argv(metrics_port), service + replica, {**spec.env, **env})

    def start_command(
        self, command: Sequence[str], log: str, env: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        with self.log_file(log).open("ab") as out:
            child = subprocess.Popen(command, stdout=out, stderr=out, env={**os.environ, **(env or {})})
        self.children.append(child)
        return child

    @contextmanager
    def serving(
        self, service: str, replica: str = "", metrics_port: int = 0, **env: str
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Killed at the end of the block if it still runs."""
        child = self.start(service, replica, metrics_port, **env)
        with killed_at_the_end(child):
            yield child

    def log_file(self, service: str) -> Path:
        return self.folder / f"{service}.log"

    def log(self, service: str) -> str:
        return self.log_file(service).read_text()

    def logs(self) -> str:
        """The end of each log, for a failure's message."""
        return "\n".join(f"{path.name}: {path.read_text()[-4000:]}" for path in sorted(self.folder.glob("*.log")))
