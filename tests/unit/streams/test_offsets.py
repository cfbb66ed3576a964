"""A commit never passes a record that is not done, whatever the order."""

import random

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from streams.offsets import OffsetLedger
from streams.records import RecordPlace, TopicPartition

P = TopicPartition("t", 0)
Q = TopicPartition("t", 1)

orders = st.integers(1, 30).flatmap(lambda n: st.permutations(range(n)))


def deliver(ledger: OffsetLedger, offset: int, partition: TopicPartition = P) -> RecordPlace:
    place = RecordPlace(partition, offset)
    ledger.deliver(place, 0.0)
    return place


def finish(ledger: OffsetLedger, offset: int, partition: TopicPartition = P) -> None:
    ledger.done(deliver(ledger, offset, partition))


@given(order=orders, start=st.integers(0, 1000))
def test_for_any_order_of_acks_the_commit_stays_in_front_of_the_lowest_open_record(order, start) -> None:
    ledger = OffsetLedger()
    ledger.start(P, start)
    places = [deliver(ledger, start + index) for index in range(len(order))]
    left = set(order)
    assert ledger.committable(P) == start
    for index in order:
        ledger.done(places[index])
        left.remove(index)
        assert ledger.positions() == {P: start + min(left, default=len(order))}


class Consumption(RuleBasedStateMachine):
    """A log, and a member of its group: it reads with gaps, finishes in any order, commits, loses and regains
    partitions, while work that it began before goes on.
    """

    def __init__(self) -> None:
        super().__init__()
        self.ledger = OffsetLedger()
        self.next = {P: 0, Q: 0}
        """The offset that is delivered next."""
        self.committed = {P: 0, Q: 0}
        self.in_work: list[RecordPlace] = []
        self.effects: set[RecordPlace] = set()
        for partition in (P, Q):
            self.ledger.start(partition, 0)

    @rule(partition=st.sampled_from([P, Q]), count=st.integers(1, 4))
    def read(self, partition: TopicPartition, count: int) -> None:
        for _ in range(count):
            self.in_work.append(deliver(self.ledger, self.next[partition], partition))
            self.next[partition] += 1

    @rule(partition=st.sampled_from([P, Q]), count=st.integers(1, 3))
    def skip(self, partition: TopicPartition, count: int) -> None:
        self.next[partition] += count

    @precondition(lambda self: self.in_work)
    @rule(pick=st.randoms())
    def finish(self, pick: random.Random) -> None:
        place = self.in_work.pop(pick.randrange(len(self.in_work)))
        self.effects.add(place)
        self.ledger.done(place)

    @rule()
    def commit(self) -> None:
        moved = self.ledger.uncommitted()
        for partition, offset in moved.items():
            assert offset > self.committed[partition]
            self.committed[partition] = offset
        self.ledger.committed(moved)
        assert self.ledger.uncommitted() == {}

    @rule(partition=st.sampled_from([P, Q]))
    def revoke(self, partition: TopicPartition) -> None:
        self.ledger.drop([partition])
        assert self.ledger.committable(partition) is None

    @rule(partition=st.sampled_from([P, Q]))
    def restart(self, partition: TopicPartition) -> None:
        """The partition is read again from what is committed; what is in work may still be done."""
        self.ledger.start(partition, self.committed[partition])
        self.next[partition] = self.committed[partition]

    @invariant()
    def no_record_is_passed_that_was_never_done(self) -> None:
        for partition, offset in self.ledger.positions().items():
            assert offset >= self.committed[partition]
            assert all(RecordPlace(partition, earlier) in self.effects for earlier in range(offset))


TestConsumption = Consumption.TestCase


@given(skipped=st.integers(1, 5), after=st.integers(0, 5))
def test_a_skipped_record_holds_the_commit_until_it_is_delivered_again(skipped, after) -> None:
    ledger = OffsetLedger()
    ledger.start(P, 10)
    finish(ledger, 10)
    for offset in range(11 + skipped, 12 + skipped + after):
        finish(ledger, offset)
    assert ledger.committable(P) == 11
    ledger.start(P, 11)
    finish(ledger, 11)
    assert ledger.committable(P) == 12


def test_the_first_record_has_to_be_the_one_that_reading_started_at() -> None:
    ledger = OffsetLedger()
    ledger.start(P, 5)
    finish(ledger, 7)
    assert ledger.committable(P) == 5


def test_what_is_not_started_has_nothing_to_commit() -> None:
    ledger = OffsetLedger()
    finish(ledger, 0)
    assert ledger.committable(P) is None
    ledger.start(P, 0)
    ledger.drop([P])
    assert ledger.committable(P) is None
    assert ledger.positions() == {}


def test_a_revoked_partition_has_nothing_to_commit() -> None:
    ledger = OffsetLedger()
    for partition in (P, Q):
        ledger.start(partition, 4)
        finish(ledger, 4, partition)
    ledger.drop([P])
    ledger.done(RecordPlace(P, 4))
    assert P not in ledger
    assert ledger.uncommitted() == {Q: 5}


def test_partitions_do_not_share_a_ledger() -> None:
    ledger = OffsetLedger()
    for partition in (P, Q):
        ledger.start(partition, 0)
        ledger.deliver(RecordPlace(partition, 0), 100.0 + partition.partition)
    ledger.done(RecordPlace(Q, 0))
    assert ledger.positions() == {P: 0, Q: 1}
    assert ledger.oldest() == 100.0
    ledger.done(RecordPlace(P, 0))
    assert ledger.oldest() is None
