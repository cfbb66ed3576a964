"""What a rollout worker that joins, leaves or is killed costs a fleet, on Apache Kafka: lines `fleet.*`.

    KAFKA_HOME=... .venv/bin/python tests/bench/bench_fleet.py [--workers N] [--partitions N] [--assignor sticky range]

Workers have the real intake and ticket book, and an engine that takes a fixed time for a group, so that 100 of them
run on two cores: threads of a few processes, and one process that is killed. For each event: partitions that another
worker holds afterwards (those of a worker that is gone must move), groups that were begun a second time, and seconds
until nothing changes hands any more: every partition has a reader, and every worker reads. `range` is kafka-python's
default, for comparison.
"""

import argparse
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from bench_transport import end, settings_of, started_broker
from measures import measure, note

from infra.settings.tree import Settings
from streams.admin import create_topics, topic_specs
from streams.clients import make_producer, publish
from streams.messages import PromptTicket, Purpose, Question, Sampling, group_id
from streams.topics import Topic, topic_name

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
GROUP_SECONDS = 8.0
PROCESSES = 4
SESSION_SECONDS = 30.0
"""Within which a kill is noticed. The default of 10 s is for a process per worker: these share two cores."""
SETTLED_SECONDS = 6.0
"""A fleet has settled once nothing changed hands for so long: longer than a round of rebalancing."""
PATIENCE_SECONDS = 400.0


@dataclass
class Fleet:
    settings: Settings
    assignor: str
    folder: Path
    stack: ExitStack
    events: "queue.Queue[dict]" = field(default_factory=queue.Queue)
    held: dict[str, set[int]] = field(default_factory=dict)
    begun: Counter[str] = field(default_factory=Counter)
    changed_at: float = 0.0
    joined_at: float = 0.0
    """When the newest worker was ready to join: before, it starts its process."""
    seq: int = 0

    def start(self, first: int, count: int) -> "subprocess.Popen[str]":
        words = [self.folder / "settings.json", self.assignor, str(first), str(count), str(GROUP_SECONDS)]
        with (self.folder / f"{self.assignor}-{first}.log").open("w") as log:
            child = subprocess.Popen(
                [sys.executable, HERE / "fleet_workers.py", *words],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=os.environ | {"PYTHONPATH": str(ROOT)},
            )
        self.stack.callback(end, child)
        threading.Thread(target=self._listen, args=(child,), daemon=True).start()
        return child

    def _listen(self, child: "subprocess.Popen[str]") -> None:
        assert child.stdout is not None
        for line in child.stdout:
            self.events.put(json.loads(line))

    def dispatch(self) -> None:
        """Keeps tickets ahead of the workers, from a thread of its own."""
        settings = self.settings
        producer = make_producer(settings.broker, settings.broker.bootstrap_servers)
        topic = topic_name(settings.topics.prefix, Topic.PROMPTS)
        ahead = 8 * settings.topics.partitions
        while not self._stop.wait(0.2):
            while self.seq < len(self.begun) + ahead:
                ticket = _ticket(settings.run.id, self.seq)
                publish(producer, topic, ticket, ticket.group_id)
                self.seq += 1
        producer.close()

    _stop: threading.Event = field(default_factory=threading.Event)

    def follow(self, seconds: float) -> None:
        """Takes in what the workers say for so long."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            try:
                said = self.events.get(timeout=left)
            except queue.Empty:
                return
            if said["event"] == "held":
                self.held[said["worker"]] = set(said["partitions"])
                self.changed_at = said["at"]
            elif said["event"] == "joins":
                self.joined_at = said["at"]
            elif said["event"] == "begun":
                self.begun[said["group"]] += 1

    def is_covered(self) -> bool:
        return (
            sum(map(len, self.held.values())) == self.settings.topics.partitions
            and len(set().union(*self.held.values())) == self.settings.topics.partitions
        )

    def settle(self, workers: int) -> None:
        """Until `workers` share all partitions and nothing has changed for a while."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            self.follow(0.5)
            reading = sum(bool(held) for held in self.held.values())
            if reading == workers and self.is_covered() and time.time() - self.changed_at > SETTLED_SECONDS:
                return
            if time.monotonic() > deadline:
                raise TimeoutError(f"{reading} of {workers} workers read, covered: {self.is_covered()}")

    def owners(self) -> dict[int, str]:
        return {partition: name for name, held in self.held.items() for partition in held}

    def event(self, name: str, workers: int, gone: str | None, action) -> None:
        self.settle(workers + (gone is not None) - (gone is None))
        before, twice, started = self.owners(), self.twice(), time.time()
        action()
        if gone is not None and name == "kill":
            self.held[gone] = set()
        self.settle(workers)
        after = self.owners()
        moved = sum(1 for partition, owner in before.items() if after[partition] != owner)
        seconds = self.changed_at - (self.joined_at if gone is None else started)
        self.follow(GROUP_SECONDS)  # whatever is begun again is begun by then
        details = {"workers": workers, "partitions": len(before), "assignor": self.assignor}
        details["load"] = round(os.getloadavg()[0], 1)
        prefix = f"fleet.{name}.{self.assignor}"
        measure(f"{prefix}.partitions_moved", moved, "partitions", **details)
        measure(f"{prefix}.groups_begun_twice", self.twice() - twice, "groups", **details)
        measure(f"{prefix}.seconds_until_all_read", seconds, "s", **details)

    def twice(self) -> int:
        return sum(count - 1 for count in self.begun.values())


def _ticket(run_id: str, seq: int) -> PromptTicket:
    return PromptTicket(
        run_id=run_id,
        group_id=group_id(run_id, seq),
        seq=seq,
        prompt_id=f"p{seq}",
        domain="mathematics",
        purpose=Purpose.TRAIN,
        samples=8,
        messages=({"role": "user", "content": "2+2?"},),
        question=Question(prompt="2+2?", verifier="math"),
        sampling=Sampling(temperature=1.0, max_new_tokens=8),
        deadline=2e11,
        dispatched_at=0.0,
    )


def measure_fleet(folder: Path, bootstrap: str, assignor: str, workers: int, partitions: int) -> None:
    settings = settings_of(f"fleet-{assignor}", bootstrap)
    topics = settings.topics.model_copy(update={"partitions": partitions})
    broker = settings.broker.model_copy(update={"session_timeout_seconds": SESSION_SECONDS})
    settings = settings.model_copy(update={"topics": topics, "broker": broker})
    prompts = topic_name(settings.topics.prefix, Topic.PROMPTS)
    create_topics(settings.broker, bootstrap, [spec for spec in topic_specs(settings) if spec.name == prompts])
    (folder / "settings.json").write_text(settings.model_dump_json())
    with ExitStack() as stack:
        fleet = Fleet(settings, assignor, folder, stack)
        share = -(-(workers - 2) // PROCESSES)
        children = [fleet.start(first, min(share, workers - 2 - first)) for first in range(0, workers - 2, share)]
        killed = fleet.start(workers - 2, 1)
        threading.Thread(target=fleet.dispatch, daemon=True).start()
        stack.callback(fleet._stop.set)
        fleet.settle(workers - 1)
        note(f"{assignor}: {workers - 1} workers read {partitions} partitions")
        fleet.event("join", workers, None, lambda: fleet.start(workers - 1, 1))
        leaver = "w000"

        def leave() -> None:
            assert children[0].stdin is not None
            print("leave", leaver, file=children[0].stdin, flush=True)

        fleet.event("leave", workers - 1, leaver, leave)
        fleet.event("kill", workers - 2, f"w{workers - 2:03d}", killed.kill)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=100)
    parser.add_argument("--partitions", type=int, default=400)
    parser.add_argument("--assignor", nargs="+", default=["sticky", "range"], choices=["sticky", "range"])
    options = parser.parse_args()
    if "KAFKA_HOME" not in os.environ:
        note("bench_fleet needs Apache Kafka: set KAFKA_HOME")
        return
    with tempfile.TemporaryDirectory(prefix="rewardstream-fleet-") as name, started_broker(Path(name) / "b") as at:
        for assignor in options.assignor:
            measure_fleet(Path(name), at, assignor, options.workers, options.partitions)


if __name__ == "__main__":
    main()
