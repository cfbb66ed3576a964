"""The other sides of a benchmark of the transport: bare loops, each in a process of its own.

    python transport_bare.py confluent|redis|redis-rollouts produce|route|read RECORDS_FILE ADDRESS NAME GROUPS

They send bytes that are encoded already and decode nothing. `confluent`: idempotent producers that all replicas
acknowledge; the router flushes a batch before it commits its offsets. `redis`: one append a group, as PipelineRL sends
them, or in `redis-rollouts` one a rollout; the server flushes each to disk before it answers. `produce` and `read` do
one pass a turn. NAME begins the names of topics, streams and consumer groups. They run in an environment of
infra/requirements/transport.txt.
"""

import resource
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
from turns import Turns

Record = tuple[bytes, bytes, list[tuple[str, bytes]]]
"""Key, value and headers."""
GROUP = 8
BATCH = 500
"""Records of one round of the router, as many as it consumes at a time."""
PATIENCE_SECONDS = 120.0
"""A turn that takes longer has lost its router."""


class Confluent:
    def __init__(self, address: str, name: str) -> None:
        self._address = address
        self._name = name
        self._in, self._out = f"{name}.in", f"{name}.out"
        self._failed: list[Any] = []
        self._producer: Any = None

    def produce(self, records: list[Record]) -> None:
        self._producer = self._make_producer()
        for _ in passes():
            for key, value, headers in records:
                self._send(self._in, key, value, headers)
            self._require_delivered()

    def route(self) -> None:
        self._producer, consumer = self._make_producer(), self._make_consumer("router")
        consumer.subscribe([self._in])
        while True:
            found = consumer.consume(BATCH, timeout=0.05)
            for message in found:
                require_record(message)
                self._send(self._out, message.key(), message.value(), message.headers())
            self._require_delivered()
            if found:
                consumer.commit(asynchronous=False)

    def read(self, groups: int) -> None:
        consumer = self._make_consumer("reader")
        consumer.subscribe([self._out])
        for started in passes():
            whole = 0
            members: Counter[bytes] = Counter()
            while whole < groups:
                require_time(started)
                for message in consumer.consume(BATCH, timeout=0.1):
                    require_record(message)
                    members[message.key()] += 1
                    whole += members[message.key()] == GROUP

    def _make_producer(self) -> Any:
        from confluent_kafka import Producer

        options = {"acks": "all", "enable.idempotence": True, "linger.ms": 5, "batch.size": 2**20}
        return Producer({"bootstrap.servers": self._address, "message.max.bytes": 8 * 2**20} | options)

    def _make_consumer(self, group: str) -> Any:
        from confluent_kafka import Consumer

        options = {"enable.auto.commit": False, "auto.offset.reset": "earliest", "max.partition.fetch.bytes": 8 * 2**20}
        return Consumer(
            {"bootstrap.servers": self._address, "group.id": f"{self._name}.{group}", "fetch.wait.max.ms": 100}
            | options
        )

    def _send(self, topic: str, key: bytes, value: bytes, headers: Any) -> None:
        while True:
            try:
                self._producer.produce(topic, value, key, headers=headers, on_delivery=self._delivered)
            except BufferError:
                self._producer.poll(0.1)
            else:
                self._producer.poll(0)
                return

    def _delivered(self, error: Any, _message: Any) -> None:
        if error is not None:
            self._failed.append(error)

    def _require_delivered(self) -> None:
        if self._producer.flush(PATIENCE_SECONDS) or self._failed:
            raise RuntimeError(f"not delivered: {self._failed[:1]}")


class Redis:
    def __init__(self, address: str, name: str, appends_a_group: int) -> None:
        import redis

        self._in, self._out = f"{name}.in", f"{name}.out"
        host, port = address.split(":")
        self._client: Any = redis.Redis(host, int(port))
        self._appends = appends_a_group

    def produce(self, records: list[Record]) -> None:
        values = [value for _, value, _ in records]
        step = GROUP // self._appends
        appends = [b"".join(values[start : start + step]) for start in range(0, len(values), step)]
        for _ in passes():
            for data in appends:
                self._client.xadd(self._in, {"data": data})

    def route(self) -> None:
        last = b"0"
        while True:
            found = self._entries(self._in, last)
            for entry, fields in found:
                self._client.xadd(self._out, fields)
                last = entry

    def read(self, groups: int) -> None:
        last = b"0"
        for started in passes():
            left = groups * self._appends
            while left > 0:
                require_time(started)
                found = self._entries(self._out, last)
                left -= len(found)
                last = found[-1][0] if found else last

    def _entries(self, stream: str, last: bytes) -> list[tuple[bytes, dict[bytes, bytes]]]:
        found = self._client.xread({stream: last}, count=100, block=1000)
        streams = found.values() if isinstance(found, dict) else [entries for _, entries in found or []]
        return next(iter(streams), [])


def passes() -> Any:
    """Yields when each pass begins; its end is replied with the CPU seconds that it took."""
    turns = Turns()
    while turns.wait():
        cpu = cpu_seconds()
        yield time.monotonic()
        turns.reply(at=time.monotonic(), cpu=cpu_seconds() - cpu)


def require_record(message: Any) -> None:
    if message.error():
        raise RuntimeError(message.error())


def require_time(started: float) -> None:
    if time.monotonic() - started > PATIENCE_SECONDS:
        raise TimeoutError(f"the groups are not whole after {PATIENCE_SECONDS:g} s: see the router's log")


def cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    kind, role, file, address, name, groups = sys.argv[1:]
    side = Confluent(address, name) if kind == "confluent" else Redis(address, name, 1 if kind == "redis" else GROUP)
    if role == "produce":
        side.produce(msgspec.msgpack.decode(Path(file).read_bytes(), type=list[Record]))
    elif role == "route":
        side.route()
    else:
        side.read(int(groups))


if __name__ == "__main__":
    main()
