"""The other end of the selector's topics: what scorers, difficulty and learner do together, in one process."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from sqlalchemy import Engine

from infra.db.rescores import write_rescored
from infra.db.sink import ScoreSink
from streams.codec import decode
from streams.messages import Outcome, PromptTicket, Purpose, Status, VersionSpan
from streams.route_headers import route_of
from streams.scored_rows import row_of
from streams.topics import Topic
from support.broker_run import RunOnBroker
from support.messages import announced, closed, rollout_of, started, verdict


@dataclass
class Peer:
    """Scores and closes what the selector dispatches, as scorers, difficulty and learner do together.

    It reads and writes the real topics and tables; only the work between them is left out.
    """

    run: RunOnBroker
    engine: Engine
    lineage: int = 1
    version: int = 0
    ordinal: int = 0
    open: dict[int, PromptTicket] = field(default_factory=dict)
    read: list[PromptTicket] = field(default_factory=list)
    """Every ticket in the log, twice if it was produced twice."""
    closed: set[int] = field(default_factory=set)
    most_open: int = 0
    score_of: Callable[[PromptTicket, int], float | None] = field(default=lambda _ticket, _sample: 0.5)
    text_of: Callable[[PromptTicket, int], str] = field(default=lambda _ticket, sample: f"answer {sample}")
    second_of: Callable[[PromptTicket, int], float] | None = None
    """The second scorer's score of a response that is not trained on, as the cross-check writes it."""

    _means: dict[int, float | None] = field(default_factory=dict)
    """The mean score of each group that is scored and not closed."""

    def __post_init__(self):
        self.reader = self.run.reader(Topic.PROMPTS)

    def start_lineage(self, *, version: int = 0, ordinal: int = 0, reopened: dict[int, PromptTicket] | None = None):
        """`reopened`: the tickets whose closings this lineage takes back."""
        self.version, self.ordinal = version, ordinal
        self.run.send(started(self.lineage, ordinal, version=version, run_id=self.run.run_id, at=time.time()))
        self.announce()
        self.open |= reopened or {}
        self.closed -= set(reopened or {})

    def announce(self):
        self.run.send(announced(self.version, lineage=self.lineage, run_id=self.run.run_id))

    def work(self):
        """Everything that can be done with what was dispatched: measure, or train in batches of P."""
        self.receive()
        for ticket in [t for t in self.open.values() if t.purpose is not Purpose.TRAIN]:
            self.score(ticket)
            self.close(ticket, Outcome.FILTERED, "measured")
        size = self.run.settings.selector.admission.groups_per_step
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
        spans = [VersionSpan(self.lineage, self.version, 3)]
        made = [
            rollout_of(ticket, sample, spans=spans, text=self.text_of(ticket, sample))
            for sample in range(ticket.samples)
        ]
        verdicts = [self._verdict(rollout, self.score_of(ticket, rollout.index)) for rollout in made]
        scores = [one.score for one in verdicts if one.score is not None]
        self._means[ticket.seq] = sum(scores) / len(scores) if scores else None
        self.run.send(*made)
        places = [delivery.get() for delivery in self.run.send(*verdicts)]
        rows = [row_of(place, one) for place, one in zip(places, verdicts, strict=True)]
        ScoreSink(self.engine, 0.9, "difficulty").write(rows)
        if self.second_of is not None and ticket.purpose is not Purpose.TRAIN:
            write_rescored(
                self.engine,
                [
                    replace(row, scorer="second", scorer_version="1", score=self.second_of(ticket, sample))
                    for sample, row in enumerate(rows)
                ],
            )

    @staticmethod
    def _verdict(rollout, score):
        status = Status.INFRA_ERROR if score is None else Status.JUDGED
        return verdict(rollout, score, status=status, route=route_of(rollout.question), scored_at=time.time())

    def close(self, ticket, outcome, reason):
        self.run.send(
            closed(
                ticket.seq,
                self.ordinal,
                outcome,
                run_id=ticket.run_id,
                purpose=ticket.purpose,
                reason=reason,
                lineage=self.lineage,
                version=self.version,
                mean_score=self._means.pop(ticket.seq, None),
                closed_at=time.time(),
            )
        )
        self.ordinal += 1
        del self.open[ticket.seq]
        self.closed.add(ticket.seq)
