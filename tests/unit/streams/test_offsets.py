"""A commit never passes a record that is not done, whatever the order."""

from hypothesis import given
from hypothesis import strategies as st

from streams.offsets import OffsetLedger
from streams.records import TopicPartition

P = TopicPartition("t", 0)
Q = TopicPartition("t", 1)

orders = st.integers(1, 30).flatmap(lambda n: st.permutations(range(n)))


@given(order=orders, start=st.integers(0, 1000))
def test_for_any_order_of_acks_the_commit_stays_in_front_of_the_lowest_open_record(order, start) -> None:
    ledger = OffsetLedger()
    ledger.start(P, start)
    for offset in range(len(order)):
        ledger.deliver(P, start + offset, 0.0)
    left = set(order)
    assert ledger.committable(P) == start
    for offset in order:
        ledger.done(P, start + offset)
        left.remove(offset)
        assert ledger.committable(P) == start + min(left, default=len(order))


@st.composite
def histories(draw):
    """Deliveries in order, acks in any order, rewinds in between: (kind, argument) steps."""
    steps = draw(st.lists(st.sampled_from(["deliver", "done", "restart"]), max_size=80))
    return [(step, draw(st.integers(0, 10_000))) for step in steps]


@given(history=histories())
def test_across_restarts_of_the_delivery_no_record_is_passed_that_was_never_done(history) -> None:
    ledger = OffsetLedger()
    ledger.start(P, 0)
    delivered, done, committed = 0, set(), 0
    in_work: set[int] = set()
    for step, argument in history:
        if step == "deliver":
            ledger.deliver(P, delivered, 0.0)
            in_work.add(delivered)
            delivered += 1
        elif step == "done" and in_work:
            offset = sorted(in_work)[argument % len(in_work)]
            in_work.remove(offset)
            ledger.done(P, offset)
            done.add(offset)
        elif step == "restart":  # delivery goes back to the commit; acks of before may still arrive
            ledger.start(P, committed)
            delivered = committed
        committed = ledger.committable(P)
        assert set(range(committed)) <= done


@given(skipped=st.integers(1, 5), after=st.integers(0, 5))
def test_a_skipped_record_holds_the_commit_until_it_is_delivered_again(skipped, after) -> None:
    ledger = OffsetLedger()
    ledger.start(P, 10)
    ledger.deliver(P, 10, 0.0)
    ledger.done(P, 10)
    for offset in range(11 + skipped, 12 + skipped + after):
        ledger.deliver(P, offset, 0.0)
        ledger.done(P, offset)
    assert ledger.committable(P) == 11
    ledger.start(P, 11)
    ledger.deliver(P, 11, 0.0)
    ledger.done(P, 11)
    assert ledger.committable(P) == 12


def test_the_first_record_has_to_be_the_one_that_reading_started_at() -> None:
    ledger = OffsetLedger()
    ledger.start(P, 5)
    ledger.deliver(P, 7, 0.0)
    ledger.done(P, 7)
    assert ledger.committable(P) == 5


def test_what_is_not_started_has_nothing_to_commit() -> None:
    ledger = OffsetLedger()
    ledger.deliver(P, 0, 0.0)
    ledger.done(P, 0)
    assert ledger.committable(P) is None
    ledger.start(P, 0)
    ledger.drop([P])
    assert ledger.committable(P) is None
    assert ledger.positions() == {}


def test_partitions_are_apart() -> None:
    ledger = OffsetLedger()
    for partition in (P, Q):
        ledger.start(partition, 0)
        ledger.deliver(partition, 0, 100.0 + partition.partition)
    ledger.done(Q, 0)
    assert ledger.positions() == {P: 0, Q: 1}
    assert ledger.oldest() == 100.0
    ledger.done(P, 0)
    assert ledger.oldest() is None
