"""A learner's claim to the run, and its checks that no other learner has claimed it since.

Invariants:
- A learner announces, saves and closes nothing before its claim counts (`trainer.curriculum.lineages`).
- A learner that reads a later claim raises `FencedError`, and writes nothing afterwards.
- Safety does not rest on the check, after which a learner may sleep for any time: readers drop what an overtaken
  learner writes, and what it saves is never resumed from. The check ends it.
"""

import logging
import os
import socket
import time
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from types import TracebackType
from typing import Self, TypeVar

import msgspec
from kafka.errors import KafkaError

from infra.outages import wait_out
from infra.settings.tree import Settings
from streams.announcements import read_announcement
from streams.clients import LogReader
from streams.codec import DecodeError, decode, header
from streams.messages import LineageStarted
from streams.records import Record
from streams.topics import Topic, topic_name
from trainer.curriculum.lineages import HIGHEST, Lineages
from trainer.weights.history import LearnerHistory

log = logging.getLogger(__name__)

M = TypeVar("M", bound=msgspec.Struct)


class FencedError(RuntimeError):
    """Another learner has taken the run over; the text names it."""


def next_lineage(lineages: Lineages, announced: Iterable[int], saved: int) -> int:
    """One more than the highest lineage anywhere: claimed, announced, or with a saved state. Pure."""
    return 1 + max([lineages.newest, saved, *(lineage for lineage in announced if lineage < HIGHEST)])


def require_newest(lineages: Lineages, mine: LineageStarted) -> None:
    """Raises FencedError unless the claim counts and no other follows it. Pure."""
    newest = lineages.starts.get(lineages.newest)
    if newest is None or newest.learner != mine.learner:
        raise FencedError(_explain(mine, newest))


class Claim:
    """Not thread-safe. Raises BrokerUnavailableError; LookupError where the topics do not exist."""

    def __init__(self, settings: Settings, bootstrap: str) -> None:
        """Reads the claims and announcements that are in the log."""
        self._run_id = settings.run.id
        self._outage_seconds = settings.broker.outage_seconds
        self.lineages = Lineages()
        self.unreadable: list[tuple[Record, DecodeError]] = []
        """Claims and announcements that do not decode; the owner sets them aside."""
        self.unique = uuid.uuid4().hex[:12]
        """A name that no other learner has."""
        self._mine: LineageStarted | None = None
        self._reader = LogReader(settings.broker, bootstrap, [topic_name(settings.topics.prefix, Topic.GROUPS_CLOSED)])
        try:
            self._announced = self._read_announced(settings, bootstrap)
            self._read_claims()
        except BaseException:
            self._reader.close()
            raise

    def make(self, history: LearnerHistory, saved: int) -> LineageStarted:
        """The claim of a learner that continues `history`, to be written to the log.

        `saved` is the highest lineage with a saved state.
        """
        self._mine = LineageStarted(
            run_id=self._run_id,
            lineage=next_lineage(self.lineages, self._announced, saved),
            version=history.version,
            ordinal=history.ordinal,
            started_at=time.time(),
            follows=self.lineages.newest,
            learner=f"{socket.gethostname()}:{os.getpid()}:{self.unique}",
        )
        return self._mine

    def require_newest(self) -> None:
        """Reads the log to its end. Raises FencedError unless the claim made counts and is still the newest."""
        assert self._mine is not None, "make() comes first"
        wait_out("broker", self._read_claims, KafkaError, self._outage_seconds)
        require_newest(self.lineages, self._mine)

    def close(self) -> None:
        self._reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read_announced(self, settings: Settings, bootstrap: str) -> set[int]:
        """The lineages of the run that have announced a version."""
        found, key = set(), settings.weights.read_signing_key()
        topic = topic_name(settings.topics.prefix, Topic.POLICY_VERSIONS)
        with LogReader(settings.broker, bootstrap, [topic]) as reader:
            for record in reader.read_to_end():
                try:
                    message = read_announcement(record, key)
                except DecodeError as error:
                    self.unreadable.append((record, error))
                    continue
                if message.run_id == self._run_id:
                    found.add(message.lineage)
        return found

    def _read_claims(self) -> None:
        for record in self._reader.read_to_end():
            if header(record.headers, "schema") != LineageStarted.__name__:
                continue  # closings are not decoded: there may be millions
            message = self._decoded(record, LineageStarted)
            if message is not None and message.run_id == self._run_id and not self.lineages.add(message):
                log.warning(
                    "%s[%d]@%d: the claim of lineage %d by %s does not count: it follows lineage %s, the newest is %d",
                    record.topic, record.partition, record.offset, message.lineage, message.learner or "an unknown",
                    message.follows, self.lineages.newest,
                )  # fmt: skip

    def _decoded(self, record: Record, kind: type[M]) -> M | None:
        try:
            return decode(record.value, kind)
        except DecodeError as error:
            self.unreadable.append((record, error))
            return None


def _explain(mine: LineageStarted, newest: LineageStarted | None) -> str:
    if newest is None or newest.lineage < mine.lineage:
        return f"the claim of lineage {mine.lineage} is not in the log, although the broker acknowledged it"
    since = datetime.fromtimestamp(newest.started_at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return (
        f"another learner ({newest.learner or 'unknown'}, lineage {newest.lineage}, since {since}) has taken run "
        f"{mine.run_id} over from this one ({mine.learner}, lineage {mine.lineage}): a run has one learner. "
        "What this one did after that learner's saved state is done again by that learner"
    )
