import random

import hypothesis.strategies as st
from hypothesis import given
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from streams.records import TopicPartition
from workers.rollout.offsets import OffsetTracker, Place

PARTITIONS = [TopicPartition("prompts", number) for number in range(2)]


@given(st.permutations(list(range(8))))
def test_the_watermark_is_the_lowest_offset_not_done(order: list[int]) -> None:
    tracker = OffsetTracker()
    places = [Place(PARTITIONS[0], offset) for offset in range(10, 18)]
    for place in places:
        tracker.read(place)
    left = set(range(8))
    for index in order:
        tracker.done(places[index])
        left.discard(index)
        assert tracker.watermarks() == {PARTITIONS[0]: 10 + min(left, default=8)}


def test_a_revoked_partition_has_nothing_to_commit() -> None:
    tracker = OffsetTracker()
    for source in PARTITIONS:
        tracker.read(Place(source, 4))
        tracker.done(Place(source, 4))
    tracker.revoke({PARTITIONS[0]})
    tracker.done(Place(PARTITIONS[0], 4))
    assert tracker.committable() == {PARTITIONS[1]: 5}


class Consumption(RuleBasedStateMachine):
    """A log, a member that reads it, finishes in any order, commits, and loses and regains its partitions."""

    def __init__(self) -> None:
        super().__init__()
        self.tracker = OffsetTracker()
        self.position = dict.fromkeys(PARTITIONS, 0)
        self.committed = dict.fromkeys(PARTITIONS, 0)
        self.in_work: list[Place] = []
        self.effects: set[Place] = set()

    @rule(source=st.sampled_from(PARTITIONS), count=st.integers(1, 4))
    def read(self, source: TopicPartition, count: int) -> None:
        for _ in range(count):
            place = Place(source, self.position[source])
            self.tracker.read(place)
            self.in_work.append(place)
            self.position[source] += 1

    @precondition(lambda self: self.in_work)
    @rule(pick=st.randoms())
    def finish(self, pick: random.Random) -> None:
        place = self.in_work.pop(pick.randrange(len(self.in_work)))
        self.effects.add(place)
        self.tracker.done(place)

    @rule()
    def commit(self) -> None:
        moved = self.tracker.committable()
        for source, offset in moved.items():
            assert offset >= self.committed[source]
            self.committed[source] = offset
        self.tracker.committed(moved)
        assert self.tracker.committable() == {}

    @rule(sources=st.sets(st.sampled_from(PARTITIONS)))
    def rebalance(self, sources: set[TopicPartition]) -> None:
        """Work goes on; the partition is read again from what is committed."""
        self.tracker.revoke(sources)
        for source in sources:
            self.position[source] = self.committed[source]

    @invariant()
    def nothing_unfinished_is_committed(self) -> None:
        for source, offset in self.committed.items():
            assert all(Place(source, earlier) in self.effects for earlier in range(offset))


TestConsumption = Consumption.TestCase
