import hypothesis.strategies as st
from hypothesis import given
from support.messages import RUN, announced, ticket

from streams.messages import group_id
from streams.records import Record, RecordPlace, TopicPartition
from workers.rollout.tickets import TicketBook

SOURCE = TopicPartition("prompts", 0)


def record(offset: int) -> Record:
    return Record("prompts", 0, offset, float(offset), b"", b"")


@given(st.data(), st.lists(st.integers(0, 3), min_size=1, max_size=12))
def test_every_place_comes_back_once_and_only_when_its_group_is_over(data: st.DataObject, seqs: list[int]) -> None:
    book = TicketBook()
    waiting: dict[int, set[int]] = {}
    returned: list[int] = []
    for offset, seq in enumerate(seqs):
        if book.add(ticket(seq), record(offset)):
            waiting.setdefault(seq, {0, 1})
        else:
            returned.append(offset)  # finished before: done at once
        acknowledge = data.draw(st.sampled_from([None, *((s, i) for s, left in waiting.items() for i in sorted(left))]))
        if acknowledge is not None:
            ended, index = acknowledge
            places = list(book.acknowledge(group_id(RUN, ended), index))
            waiting[ended].discard(index)
            assert bool(places) == (not waiting[ended])
            returned += [place.offset for place in places]
            waiting = {each: left for each, left in waiting.items() if left}
    for seq in waiting:
        returned += [place.offset for place in book.drop(group_id(RUN, seq))]
    assert sorted(returned) == list(range(len(seqs)))
    assert len(book) == 0


def test_a_duplicate_in_flight_adds_a_place_and_no_work() -> None:
    book = TicketBook()
    assert book.add(ticket(0), record(3))
    assert book.add(ticket(0), record(7))
    assert [each.seq for each in book.waiting()] == [0]
    assert book.load(0) == 2
    assert book.acknowledge(group_id(RUN, 0), 1) == ()
    assert set(book.acknowledge(group_id(RUN, 0), 0)) == {RecordPlace(SOURCE, 3), RecordPlace(SOURCE, 7)}
    assert not book.add(ticket(0), record(9))


def test_a_ticket_weighs_nothing_until_its_version_is_there() -> None:
    book = TicketBook()
    book.add(ticket(0, min_version=2), record(0))
    book.add(ticket(1), record(1))
    book.add(ticket(2, min_version=9, weights=announced(9)), record(2))
    assert book.load(1) == 4
    assert book.load(2) == 6
    book.start(group_id(RUN, 0), (5,))
    assert [each.seq for each in book.waiting()] == [1, 2]
    assert [each.seq for each in book.started()] == [0]
    assert book.oldest() == 0.0


def test_groups_past_their_deadline_are_overdue_started_or_not() -> None:
    book = TicketBook()
    for seq in range(2):
        book.add(ticket(seq, min_version=9, deadline=100.0 + seq), record(seq))
    book.start(group_id(RUN, 0), (5,))
    assert book.overdue(99.0) == []
    assert book.overdue(100.0) == [group_id(RUN, 0)]
    assert book.overdue(101.0) == [group_id(RUN, 0), group_id(RUN, 1)]


def test_an_acknowledgement_of_a_group_that_was_dropped_hands_nothing_back() -> None:
    book = TicketBook()
    book.add(ticket(0), record(0))
    assert list(book.drop(group_id(RUN, 0))) == [RecordPlace(SOURCE, 0)]
    assert book.acknowledge(group_id(RUN, 0), 0) == ()


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2)), max_size=12), st.sets(st.integers(0, 2)))
def test_what_was_read_from_a_lost_partition_is_forgotten_and_may_come_again(
    reads: list[tuple[int, int]], lost: set[int]
) -> None:
    book = TicketBook()
    for offset, (seq, partition) in enumerate(reads):
        assert book.add(ticket(seq), Record("prompts", partition, offset, 0.0, b"", b""))
    held = {seq for seq, partition in reads if partition not in lost}
    gone = book.lose(TopicPartition("prompts", partition) for partition in lost)
    assert set(gone) == {group_id(RUN, seq) for seq, _ in reads if seq not in held}
    assert len(book) == len(held)
    for seq in held:
        assert {place.partition.partition for place in book.drop(group_id(RUN, seq))}.isdisjoint(lost)
    for name in gone:
        assert book.add(ticket(int(name.rpartition(":")[2])), record(99))
