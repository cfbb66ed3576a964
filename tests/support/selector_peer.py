"""The other end of the selector's topics: what scorers, difficulty and learner do together, in one process."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from kafka import KafkaProducer
from sqlalchemy import Engine

from infra.db.sink import ScoredRecord, ScoreSink
from infra.settings.tree import Settings
from streams.clients import LogReader, confirm, publish
from streams.codec import decode
from streams.messages import (
    GroupClosed,
    LineageStarted,
    Outcome,
    PolicyVersion,
    PromptTicket,
    Purpose,
    Rollout,
    ScoredTrajectory,
    Status,
    Timings,
)
from streams.route_headers import route_of
from streams.topics import Topic, topic_name

_CONFIRM_SECONDS = 30.0


@dataclass
class Peer:
    """Scores and closes what the selector dispatches, as scorers, difficulty and learner do together.

    It reads and writes the real topics and tables; only the work between them is left out.
    """

    settings: Settings
    engine: Engine
    producer: KafkaProducer
    reader: LogReader
    lineage: int = 1
    version: int = 0
    ordinal: int = 0
    open: dict[int, PromptTicket] = field(default_factory=dict)
    read: list[PromptTicket] = field(default_factory=list)
    """Every ticket in the log, twice if it was produced twice."""
    closed: set[int] = field(default_factory=set)
    most_open: int = 0
    score_of: Callable[[PromptTicket, int], float] = field(default=lambda _ticket, _sample: 0.5)

    def topic(self, topic: Topic) -> str:
        return topic_name(self.settings.topics.prefix, topic)

    def start_lineage(self, *, version: int = 0, ordinal: int = 0, reopened: dict[int, PromptTicket] | None = None):
        """`reopened`: the tickets whose closings this lineage takes back."""
        self.version, self.ordinal = version, ordinal
        start = LineageStarted(
            run_id=self.settings.run.id, lineage=self.lineage, version=version, ordinal=ordinal, started_at=time.time()
        )
        self.send(Topic.GROUPS_CLOSED, start, self.settings.run.id)
        self.announce()
        self.open |= reopened or {}
        self.closed -= set(reopened or {})

    def announce(self):
        message = PolicyVersion(
            run_id=self.settings.run.id,
            lineage=self.lineage,
            version=self.version,
            uri="",
            sha256="",
            step=self.version,
            announced_at=time.time(),
        )
        self.send(Topic.POLICY_VERSIONS, message, self.settings.run.id)

    def work(self):
        """Everything that can be done with what was dispatched: measure, or train in batches of P."""
        self.receive()
        for ticket in [t for t in self.open.values() if t.purpose is not Purpose.TRAIN]:
            self.score(ticket)
            self.close(ticket, Outcome.FILTERED, "measured")
        size = self.settings.selector.admission.groups_per_step
        while len(waiting := sorted(self.open)) >= size:
            self.train([self.open[seq] for seq in waiting[:size]])

    def finish_short(self):
        """The short batch at the end."""
        if self.open:
            self.train(list(self.open.values()))

    def train(self, tickets):
        for ticket in tickets:
            self.score(ticket)
        self.version += 1
        self.announce()
        for ticket in tickets:
            self.close(ticket, Outcome.TRAINED, "")

    def receive(self):
        for record in self.reader.read_to_end():
            ticket = decode(record.value, PromptTicket)
            self.read.append(ticket)
            if ticket.seq not in self.closed:
                self.open[ticket.seq] = ticket
        self.most_open = max(self.most_open, sum(t.purpose is Purpose.TRAIN for t in self.open.values()))

    def score(self, ticket):
        """Rollouts and verdicts into the log, and the verdicts' rows into Postgres."""
        verdicts = [self.verdict(ticket, sample) for sample in range(ticket.samples)]
        for verdict in verdicts:
            self.send(Topic.ROLLOUTS, verdict.rollout, ticket.group_id)
        places = [self.send(Topic.SCORED, verdict, ticket.group_id) for verdict in verdicts]
        ScoreSink(self.engine, 0.9, "difficulty").write(
            [row_of(place, verdict, self.version) for place, verdict in zip(places, verdicts, strict=True)]
        )

    def verdict(self, ticket, sample):
        rollout = Rollout(
            run_id=ticket.run_id,
            group_id=ticket.group_id,
            rollout_id=f"{ticket.group_id}/{sample}",
            seq=ticket.seq,
            prompt_id=ticket.prompt_id,
            domain=ticket.domain,
            purpose=ticket.purpose,
            index=sample,
            group_size=ticket.samples,
            segments=(),
            spans=(),
            finish_reason="stop",
            text=f"answer {sample}",
            question=ticket.question,
            sampling=ticket.sampling,
            timings=Timings(dispatched=ticket.dispatched_at, started=time.time(), finished=time.time()),
            deadline=ticket.deadline,
        )
        return ScoredTrajectory(
            rollout=rollout,
            score=self.score_of(ticket, sample),
            status=Status.JUDGED,
            why="",
            route=route_of(ticket.question),
            scorer="peer",
            scorer_version="1",
            seconds=0.0,
            scored_at=time.time(),
        )

    def close(self, ticket, outcome, reason):
        closing = GroupClosed(
            run_id=ticket.run_id,
            group_id=ticket.group_id,
            seq=ticket.seq,
            purpose=ticket.purpose,
            outcome=outcome,
            reason=reason,
            lineage=self.lineage,
            ordinal=self.ordinal,
            version=self.version,
            staleness=0 if outcome is Outcome.TRAINED else None,
            mean_score=0.5,
            closed_at=time.time(),
        )
        self.ordinal += 1
        self.send(Topic.GROUPS_CLOSED, closing, ticket.group_id)
        del self.open[ticket.seq]
        self.closed.add(ticket.seq)

    def send(self, topic, message, key):
        delivery = publish(self.producer, self.topic(topic), message, key)
        confirm(self.producer, [delivery], _CONFIRM_SECONDS)
        return delivery.get()


def row_of(place, verdict, version) -> ScoredRecord:
    rollout = verdict.rollout
    return ScoredRecord(
        topic=place.topic,
        partition=place.partition,
        offset=place.offset,
        rollout_id=rollout.rollout_id,
        route=verdict.route,
        scorer=verdict.scorer,
        scorer_version=verdict.scorer_version,
        run_id=rollout.run_id,
        group_id=rollout.group_id,
        prompt_id=rollout.prompt_id,
        domain=rollout.domain,
        purpose=rollout.purpose,
        policy_version=version,
        score=verdict.score,
        status=verdict.status,
        why="",
        text=rollout.text,
        response_tokens=1,
        seconds=0.0,
        scored_at=verdict.scored_at,
    )
