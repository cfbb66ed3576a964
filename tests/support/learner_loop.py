"""The neighbours of the learner: tickets and verdicts in, versions and closings out."""

from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from streams.codec import decode_by_schema
from streams.messages import GroupClosed, LineageStarted, PolicyVersion, VersionSpan
from streams.records import Record
from streams.topics import Topic
from support.broker_run import RunOnBroker
from support.messages import scored, ticket


class LearnerLoop(RunOnBroker):
    def dispatch(self, *seqs: int, scores: tuple[float | None, ...] = (1.0, 0.0), version: int = 0) -> None:
        """A ticket and its verdicts for each group, one verdict per sample."""
        size, spans = len(scores), [VersionSpan(0, version, 3)]
        for seq in seqs:
            verdicts = [
                scored(seq, index, score, run_id=self.run_id, group_size=size, tokens=(5 + index, 6, 7), spans=spans)
                for index, score in enumerate(scores)
            ]
            self.send(ticket(seq, run_id=self.run_id, samples=size), *verdicts)

    def closings_until(self, enough: Callable[["Closings"], bool]) -> "Closings":
        """What `groups.closed` holds, once it holds enough and while the learner runs."""
        found, learner = Closings(), self.children[-1]

        def are_enough(records: list[Record]) -> bool:
            for record in records[found.read :]:
                found.add(decode_by_schema(record.value, record.headers))
            if not enough(found):
                assert learner.poll() is None, f"the learner ended: {self.logs()}"
                return False
            return True

        with self.reader(Topic.GROUPS_CLOSED) as reader:
            self.read_until(reader, are_enough, "enough closings", details=lambda: str(found))
        return found

    def closings(self) -> "Closings":
        """All that `groups.closed` holds now."""
        found = Closings()
        for message in self.messages(Topic.GROUPS_CLOSED):
            found.add(message)
        return found

    def versions(self) -> list[PolicyVersion]:
        return [message for message in self.messages(Topic.POLICY_VERSIONS) if isinstance(message, PolicyVersion)]


@dataclass
class Closings:
    closed: list[GroupClosed] = field(default_factory=list)
    lineages: list[LineageStarted] = field(default_factory=list)

    @property
    def read(self) -> int:
        return len(self.closed) + len(self.lineages)

    def add(self, message: msgspec.Struct) -> None:
        if isinstance(message, GroupClosed):
            self.closed.append(message)
        elif isinstance(message, LineageStarted):
            self.lineages.append(message)
        else:
            raise TypeError(f"{type(message).__name__} in groups.closed")

    def surviving(self) -> list[GroupClosed]:
        """Those that no later lineage overrides."""
        return [
            each
            for each in self.closed
            if not any(later.lineage > each.lineage and later.ordinal <= each.ordinal for later in self.lineages)
        ]
