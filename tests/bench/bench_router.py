"""Messages a second that the router moves on Apache Kafka, for each core it uses: python tests/bench/bench_router.py

The real router process, on messages of 16 KiB that wait in the log when the counting begins. `a core` is honest: the
count is over the CPU seconds of the router's own process and its threads, and the wall's rate is beside it. Against
it: a bare loop of kafka-python that consumes and produces the same messages one to one, with the same
acknowledgements, counted in the same way. Needs KAFKA_HOME.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
from kafka import KafkaConsumer, KafkaProducer
from measures import measure, note

from infra.local.broker import open_broker
from infra.settings.tree import BrokerSettings, Settings
from streams.admin import create_topics, topic_specs
from streams.clients import GroupMember, LogReader, confirm, make_producer, send
from streams.records import Output
from streams.topics import Topic, topic_name

BYTES = 16 * 1024
WARM_UP = 4_000
"""Imports, the join of the group, and the first full batches."""
COUNTED = 24_000
GROUP = 8
"""Rollouts of one key, as of one group."""
IN_FLIGHT = 500
"""Records that the bare loop sends before it confirms and commits them, as it polls them."""
PATIENCE_SECONDS = 300.0


@dataclass(frozen=True)
class Rate:
    messages: int
    cpu_seconds: float
    wall_seconds: float

    @property
    def a_core(self) -> float:
        return self.messages / self.cpu_seconds

    @property
    def wall(self) -> float:
        return self.messages / self.wall_seconds


def settings_of(prefix: str, bootstrap: str) -> Settings:
    tree = {
        "run": {"id": prefix},
        "topics": {"prefix": prefix},
        "broker": {"kind": "cluster", "bootstrap_servers": bootstrap},
    }
    return Settings.model_validate(tree)


def fill(settings: Settings, count: int) -> None:
    """Bodies that no compression would help with; the router never opens them."""
    producer = make_producer(settings.broker, settings.broker.bootstrap_servers)
    topic = topic_name(settings.topics.prefix, Topic.ROLLOUTS)
    body, headers = os.urandom(BYTES), (("schema", b"Rollout"), ("schema_version", b"1"), ("route", b"rtv"))
    for start in range(0, count, 1000):
        keys = [f"bench:{number // GROUP}".encode() for number in range(start, min(start + 1000, count))]
        confirm(producer, [send(producer, Output(topic, key, body, headers)) for key in keys], 60)
    producer.close()


def router(settings: Settings, folder: Path) -> Rate:
    """Measures the real process; its output topic says how far it is."""
    file = folder / "settings.json"
    file.write_text(settings.model_dump_json())
    command = [sys.executable, "-m", "infra.cli.main", "serve", "router", "--settings-file", str(file)]
    with (folder / "router.log").open("wb") as log:
        child = subprocess.Popen([*command, "--metrics-port", "0"], stdout=log, stderr=log)
    try:
        return _counted(settings, psutil.Process(child.pid))
    finally:
        child.terminate()
        child.wait()
        note((folder / "router.log").read_text())


def _counted(settings: Settings, process: psutil.Process) -> Rate:
    moved = Moved(settings)
    moved.wait(WARM_UP)
    before, cpu, wall = moved.count(), _cpu(process), time.monotonic()
    moved.wait(WARM_UP + COUNTED)
    return Rate(moved.count() - before, _cpu(process) - cpu, time.monotonic() - wall)


class Moved:
    """How many records lie in the router's output topic; looking costs the router nothing."""

    def __init__(self, settings: Settings) -> None:
        topic = topic_name(settings.topics.prefix, Topic.RTV_REQUESTS)
        self._reader = LogReader(settings.broker, settings.broker.bootstrap_servers, [topic])

    def count(self) -> int:
        return sum(self._reader.end_offsets().values())

    def wait(self, count: int) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self.count() < count:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.count()} of {count} messages after {PATIENCE_SECONDS:g} s")
            time.sleep(0.05)


def bare(settings: Settings) -> Rate:
    """This process, single-threaded but for kafka-python's own sender."""
    bootstrap, prefix = settings.broker.bootstrap_servers, settings.topics.prefix
    topics = [topic_name(prefix, Topic.ROLLOUTS)]
    consumer = GroupMember(settings.broker, bootstrap, f"{prefix}.bare", topics).consumer
    producer = make_producer(settings.broker, bootstrap)
    target = topic_name(prefix, Topic.GENRM_REQUESTS)
    _move(consumer, producer, target, WARM_UP)
    process = psutil.Process()
    cpu, wall = _cpu(process), time.monotonic()
    done = _move(consumer, producer, target, COUNTED)
    rate = Rate(done, _cpu(process) - cpu, time.monotonic() - wall)
    consumer.close(autocommit=False)
    producer.close()
    return rate


def _move(consumer: KafkaConsumer, producer: KafkaProducer, target: str, count: int) -> int:
    done = 0
    while done < count:
        batches = consumer.poll(timeout_ms=1000, max_records=IN_FLIGHT)
        deliveries = [
            producer.send(target, value=raw.value, key=raw.key, headers=raw.headers)
            for raws in batches.values()
            for raw in raws
        ]
        confirm(producer, deliveries, 60)
        consumer.commit()
        done += len(deliveries)
    return done


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def main() -> None:
    if "KAFKA_HOME" not in os.environ:
        note("bench_router needs Apache Kafka: set KAFKA_HOME")
        return
    with tempfile.TemporaryDirectory(prefix="rewardstream-bench-") as name:
        folder = Path(name)
        broker = open_broker(BrokerSettings(kind="kafka"), folder / "broker")
        broker.start()
        try:
            settings = settings_of("bench", broker.bootstrap)
            create_topics(settings.broker, broker.bootstrap, topic_specs(settings))
            fill(settings, WARM_UP + COUNTED + IN_FLIGHT)
            ours, loop = router(settings, folder), bare(settings)
        finally:
            broker.stop()
    note(json.dumps({"router": vars(ours), "bare": vars(loop)}))
    about = {"bytes": BYTES, "messages": ours.messages, "partitions": settings.topics.partitions}
    measure("router.kafka.bare_loop", loop.a_core, "messages/s a core", wall=round(loop.wall), **about)
    measure(
        "router.kafka",
        ours.a_core,
        "messages/s a core",
        against="router.kafka.bare_loop",
        ratio=ours.a_core / loop.a_core,
        wall=round(ours.wall),
        cpu_seconds=round(ours.cpu_seconds, 2),
        **about,
    )


if __name__ == "__main__":
    main()
