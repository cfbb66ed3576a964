"""Scores a run's rollouts again: from its log to the topic of the new scores and their rows in Postgres.

Invariant: a score is in Postgres only after it is in the log. A rescore that was killed in between is run again:
rollouts whose score is in the log are not scored twice, and get their missing rows.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeVar

from kafka import KafkaProducer

from infra.db.sink import ScoredRecord
from infra.settings.tree import Settings
from streams import validate
from streams.clients import Delivery, LogReader, confirm, send
from streams.codec import DecodeError, decode
from streams.messages import Rollout, ScoredTrajectory
from streams.records import Output, Record
from streams.scored_rows import row_of
from streams.topics import Topic, topic_name
from workers.scoring.open_scorer import InstalledScorer
from workers.scoring.rescore.picker import RescorePicker, RescoreSelection
from workers.scoring.rescore.topics import rescored_topic, rescored_topics
from workers.scoring.retrying import RetryingScorer
from workers.scoring.scoring_handler import ScoringHandler

STAGE = "rescore"
_ROWS_BATCH = 500
"""Rows per statement, for rows that an earlier rescore may have left out."""

R = TypeVar("R")
Rows = Callable[[Sequence[ScoredRecord]], int]
"""`infra.db.rescores.write_rescored` on an engine; returns how many rows were new."""


@dataclass(frozen=True, slots=True)
class Unscored:
    """A rollout that got no verdict from the scorer after all attempts."""

    rollout: Rollout
    why: str


@dataclass(frozen=True, slots=True)
class WrittenScores:
    scored: int
    rows: int
    """Number of rows new in Postgres."""
    unscored: list[Unscored]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreWriter:
    """Writes new scores to the log first, then to Postgres. A rollout without a verdict is not written, so that another
    attempt can add it.
    """

    producer: KafkaProducer
    request_timeout_seconds: float
    rows: Rows

    def write(self, outputs: Sequence[Output]) -> WrittenScores:
        """Raises DeliveryError, sqlalchemy.exc.OperationalError; writing the same outputs again is the same as once."""
        deliveries: list[Delivery] = []
        rows: list[ScoredRecord] = []
        unscored: list[Unscored] = []
        for output in outputs:
            scored = decode(output.value, ScoredTrajectory)
            if scored.score is None:
                unscored.append(Unscored(scored.rollout, scored.why))
                continue
            rows.append(make_row(output.topic, scored))
            deliveries.append(send(self.producer, output))
        confirm(self.producer, deliveries, self.request_timeout_seconds)
        return WrittenScores(len(rows), self.rows(rows), unscored)


@dataclass(slots=True)
class RescoreResult:
    """The findings and the results of a rescore, or of a look at what it would do."""

    picker: RescorePicker
    scored: int = 0
    unscored: list[Unscored] = field(default_factory=list)
    rows: int = 0
    """Number of rows new in Postgres."""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RescoreRun:
    """Runs one scorer over the log of one run, at the broker and prefix of `settings`."""

    settings: Settings
    bootstrap: str
    scorer: InstalledScorer
    rows: Rows
    progress: Callable[[RescoreResult], None]
    """Called after each batch."""

    @property
    def topic(self) -> str:
        return rescored_topic(self.settings.topics.prefix, self.scorer.id)

    def look(self, selection: RescoreSelection) -> RescoreResult:
        """Returns what `run` would score, and writes nothing. Raises LookupError if the run has no log."""
        found = RescoreResult(self._make_picker(selection))
        found.picker = self._make_picker(selection, self._find_done(found, write=False))
        for _ in self._pick_records(found.picker):
            pass
        return found

    async def run(self, selection: RescoreSelection, producer: KafkaProducer) -> RescoreResult:
        """Scores the selection; the topic must exist. After a failure, another call continues where this one stopped.

        Raises LookupError if the run has no log, DeliveryError, sqlalchemy.exc.OperationalError.
        """
        started = time.monotonic()
        found = RescoreResult(self._make_picker(selection))
        found.picker = self._make_picker(selection, self._find_done(found, write=True))
        prefix = self.settings.topics.prefix
        scoring = ScoringHandler(
            stage=STAGE,
            route=self.scorer.route,
            scorer=RetryingScorer(stage=STAGE, scorer=self.scorer.scorer, retry=self.scorer.retry),
            scored=self.topic,
            dead_letters=topic_name(prefix, Topic.DEAD_LETTERS),
        )
        for batch in in_batches(self._pick_records(found.picker), self.scorer.batch):
            await self._score_batch(batch, scoring, producer, found)
            found.seconds = time.monotonic() - started
            self.progress(found)
        return found

    async def _score_batch(
        self, batch: list[Record], scoring: ScoringHandler, producer: KafkaProducer, found: RescoreResult
    ) -> None:
        writer = ScoreWriter(
            producer=producer,
            request_timeout_seconds=self.settings.broker.request_timeout_seconds,
            rows=self.rows,
        )
        written = writer.write(await scoring.handle(batch))
        found.scored += written.scored
        found.rows += written.rows
        found.unscored += written.unscored

    def _find_done(self, found: RescoreResult, *, write: bool) -> frozenset[str]:
        """Returns the ids of the rollouts that the topic holds. With `write`, writes the rows that are missing."""
        if not write and self.topic not in rescored_topics(
            self.settings.broker, self.bootstrap, self.settings.topics.prefix
        ):
            return frozenset()
        done: set[str] = set()
        for batch in in_batches(self._read_topic(self.topic), _ROWS_BATCH):
            scored = [message for message in map(decode_scored, batch) if message is not None]
            done.update(message.rollout.rollout_id for message in scored)
            if write:
                found.rows += self.rows([make_row(self.topic, message) for message in scored])
        return frozenset(done)

    def _make_picker(self, selection: RescoreSelection, done: frozenset[str] = frozenset()) -> RescorePicker:
        return RescorePicker(selection, self.scorer.scorer.why_unscorable, done)

    def _pick_records(self, picker: RescorePicker) -> Iterator[Record]:
        topic = topic_name(self.settings.topics.prefix, Topic.ROLLOUTS)
        return (record for record in self._read_topic(topic) if picker.pick(record) is not None)

    def _read_topic(self, topic: str) -> Iterator[Record]:
        """Raises LookupError if there is no such topic."""
        with LogReader(self.settings.broker, self.bootstrap, [topic]) as reader:
            yield from reader.read_to_end()


def make_row(topic: str, scored: ScoredTrajectory) -> ScoredRecord:
    """Its offset has no meaning here, since no sink's offset moves."""
    return row_of(Record(topic, 0, 0, scored.scored_at, None, None), scored)


def in_batches(records: Iterable[R], size: int) -> Iterator[list[R]]:
    """Yields lists of `size` records; the last one may be shorter."""
    iterator = iter(records)
    while batch := list(islice(iterator, size)):
        yield batch


def decode_scored(record: Record) -> ScoredTrajectory | None:
    """Returns None if the record does not decode: the learner sets such a record aside."""
    try:
        return validate.decode_scored(record)
    except DecodeError:
        return None
