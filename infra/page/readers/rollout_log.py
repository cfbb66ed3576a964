"""What only the log has of a rollout: its tokens with their log-probabilities.

Invariant: one search runs at a time and ends within `SEARCH_SECONDS`, so that a page never reads a long log over and
over; it reads the one partition that has the rollout's group.
"""

import threading
import time
from collections.abc import Callable, Iterator

from kafka.partitioner.default import murmur2

from infra.page.readers.kept_rollouts import KeptRollouts
from infra.settings.tree import Settings
from streams.clients import BrokerUnavailableError, LogReader
from streams.codec import DecodeError, decode
from streams.messages import Rollout, ScoredTrajectory
from streams.records import Record
from streams.topics import Topic, topic_name

SEARCH_SECONDS = 8.0
"""A reader passes 10,000 records in this time, and a person still waits for the answer."""


class RolloutLog:
    """`bootstrap`: a broker that has the run's topics; empty if none has. `kept`: rollouts that outlived their log."""

    def __init__(self, settings: Settings, bootstrap: str, kept: KeptRollouts) -> None:
        # A page should not wait for a broker that is away as long as a worker does.
        broker = settings.broker.model_copy(update={"connect_timeout_seconds": 2.0})
        self._settings, self._broker, self._bootstrap = settings, broker, bootstrap
        self._kept = kept
        self._lock = threading.Lock()

    def find(self, rollout_id: str) -> tuple[Rollout | None, str]:
        """The rollout, or None and the reason."""
        if (kept := self._kept.find(rollout_id)) is not None:
            return kept, ""
        if not self._bootstrap:
            return None, "the run's log is not available"
        if not self._lock.acquire(timeout=SEARCH_SECONDS):
            return None, "the log is being read for another view: look again in a moment"
        try:
            return self._search(rollout_id)
        except (BrokerUnavailableError, LookupError) as error:
            return None, f"the log does not answer: {error}"
        finally:
            self._lock.release()

    def _search(self, rollout_id: str) -> tuple[Rollout | None, str]:
        deadline = time.monotonic() + SEARCH_SECONDS
        key = rollout_id.rpartition("/")[0].encode()
        for topic, of in ((Topic.SCORED, _scored), (Topic.ROLLOUTS, _unscored)):
            for record in self._records(topic, key):
                rollout = of(record) if record.key == key else None
                if rollout is not None and rollout.rollout_id == rollout_id:
                    return rollout, ""
                if time.monotonic() > deadline:
                    return None, f"the log is long: `rewardstream why {rollout_id}` reads all of it"
        return None, "the log does not have it, or not yet"

    def _records(self, topic: Topic, key: bytes) -> Iterator[Record]:
        partitions = self._settings.topics.partitions
        share = ((murmur2(key) & 0x7FFFFFFF) % partitions, partitions)
        name = topic_name(self._settings.topics.prefix, topic)
        with LogReader(self._broker, self._bootstrap, [name], share=share) as reader:
            yield from reader.read_to_end()


def _scored(record: Record) -> Rollout | None:
    return _decoded(lambda: decode(record.value, ScoredTrajectory).rollout)


def _unscored(record: Record) -> Rollout | None:
    return _decoded(lambda: decode(record.value, Rollout))


def _decoded(read: Callable[[], Rollout]) -> Rollout | None:
    try:
        return read()
    except DecodeError:
        return None  # it is with the dead letters
