"""Rollout workers of a benchmark of the fleet: threads of one process, real intake and ticket book, simulated engine.

    python fleet_workers.py SETTINGS_FILE ASSIGNOR FIRST COUNT SECONDS_A_GROUP

Each worker does what a turn of the real one does with tickets: polls, forgets what it lost, starts groups while it has
room, hands places back, commits. A line of JSON on stdout tells every change: partitions held, groups begun, lost and
done. A line `leave NAME` on stdin ends one worker in order; the end of stdin ends all.
"""

import json
import logging
import sys
import threading
import time
from pathlib import Path

from kafka.coordinator.assignors.range import RangePartitionAssignor

from infra.settings.tree import Settings
from streams.clients import GroupMember, consuming
from streams.topics import Topic, topic_name
from streams.validate import decode_ticket
from workers.rollout.intake import TicketIntake, consumer_group
from workers.rollout.tickets import TicketBook

_ROOM = 2
"""Groups that a worker has at a time."""
_POLL_SECONDS = 0.25
_COMMIT_SECONDS = 0.5
_tell = threading.Lock()


class RangeAssignor(RangePartitionAssignor):
    """kafka-python's default, for the comparison."""

    def forget(self) -> None:
        """It claims nothing."""


def say(worker: str, event: str, **details: object) -> None:
    with _tell:
        print(json.dumps({"worker": worker, "event": event, "at": time.time(), **details}), flush=True)


class Worker(threading.Thread):
    def __init__(self, name: str, settings: Settings, seconds: float) -> None:
        super().__init__(name=name, daemon=True)
        self._settings, self._seconds = settings, seconds
        self.leaving = threading.Event()

    def run(self) -> None:
        settings = self._settings
        topic = topic_name(settings.topics.prefix, Topic.PROMPTS)
        group = consumer_group(settings.run.id)
        say(self.name, "joins")
        member = GroupMember(settings.broker, settings.broker.bootstrap_servers, group, [topic])
        intake, book = TicketIntake(member), TicketBook()
        held: set[int] = set()
        ends: dict[str, float] = {}
        commit_at = 0.0
        while not self.leaving.is_set():
            records = intake.poll(_ROOM - len(book), _POLL_SECONDS)
            for name in book.lose(intake.pop_lost()):
                begun = ends.pop(name) - self._seconds
                say(self.name, "lost", group=name, seconds=time.time() - begun)
            for record in records:
                ticket = decode_ticket(record)
                if book.add(ticket, record):
                    book.start(ticket.group_id, (1,))
                    if ticket.group_id not in ends:
                        ends[ticket.group_id] = time.time() + self._seconds
                        say(self.name, "begun", group=ticket.group_id)
                else:
                    intake.done([record.place])
            for name in [name for name, end in ends.items() if end <= time.time()]:
                del ends[name]
                intake.done(book.drop(name))
                say(self.name, "done", group=name)
            if time.monotonic() >= commit_at:
                intake.commit()
                commit_at = time.monotonic() + _COMMIT_SECONDS
            now = {partition.partition for partition in member.held()}
            if now != held:
                held = now
                say(self.name, "held", partitions=sorted(held))
        intake.commit(wait_seconds=5)
        member.consumer.close(autocommit=False)
        say(self.name, "held", partitions=[])


def main() -> None:
    file, assignor, first, count, seconds = sys.argv[1:]
    logging.basicConfig(level=logging.ERROR)
    settings = Settings.model_validate_json(Path(file).read_bytes())
    if assignor == "range":
        consuming.StickyAssignor = RangeAssignor  # type: ignore[misc,assignment] # the comparison
    names = [f"w{number:03d}" for number in range(int(first), int(first) + int(count))]
    workers = {name: Worker(name, settings, float(seconds)) for name in names}
    for worker in workers.values():
        worker.start()
    for line in sys.stdin:
        name = line.split()[1]
        workers[name].leaving.set()
    for worker in workers.values():
        worker.leaving.set()
    for worker in workers.values():
        worker.join(20)


if __name__ == "__main__":
    main()
