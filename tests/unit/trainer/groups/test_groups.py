import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.messages import scored, ticket

from streams.messages import Outcome, PromptTicket, Purpose, Rollout, Route, ScoredTrajectory, VersionSpan
from streams.records import Record, TopicPartition
from trainer.groups.groups import GroupBook, ending_of

PROMPTS = TopicPartition("prompts", 0)
SCORED = TopicPartition("scored", 0)


def at(place: TopicPartition, offset: int) -> Record:
    return Record(*place, offset, 0.0, b"key", b"")


def book_of(*members: ScoredTrajectory) -> GroupBook:
    """The verdicts, after the tickets of their groups."""
    book = GroupBook()
    for member in members:
        book.add_ticket(ticket_of(member.rollout), at(PROMPTS, 0))
    for offset, member in enumerate(members):
        book.add_scored(member, at(SCORED, offset))
    return book


def ticket_of(made: Rollout) -> PromptTicket:
    return ticket(made.seq, purpose=made.purpose, deadline=made.deadline, samples=made.group_size)


def ending(book: GroupBook, seq: int = 0, *, version: int = 0, now: float = 0.0, caught_up: bool = True):
    return ending_of(
        book.open[seq], version=version, now=now, caught_up=caught_up, max_staleness=2, zero_variance_std=0.01
    )


def test_complete_group_with_spread_is_trainable():
    book = book_of(scored(0, 0, 1.0), scored(0, 1, 0.0))
    assert book.open[0].complete
    assert ending(book) is None


def test_equal_scores_are_filtered():
    assert ending(book_of(scored(0, 0, 1.0), scored(0, 1, 1.0))).reason == "zero_variance"


@pytest.mark.parametrize(("cut", "masked", "reason"), [(2, True, "cut_off"), (2, False, None), (1, True, None)])
def test_a_group_of_cut_off_responses_is_filtered_where_those_carry_no_loss(cut, masked, reason):
    members = [scored(0, 0, 1.0), scored(0, 1, 0.0)]
    for index in range(cut):
        rollout = msgspec.structs.replace(members[index].rollout, finish_reason="length")
        members[index] = msgspec.structs.replace(members[index], rollout=rollout)
    found = ending_of(
        book_of(*members).open[0],
        version=0,
        now=0.0,
        caught_up=True,
        max_staleness=2,
        zero_variance_std=0.01,
        mask_cut_off=masked,
    )
    assert (found and found.reason) == reason


def test_scorer_that_could_not_answer_fails_the_group_before_it_is_complete():
    assert ending(book_of(scored(0, 0, None))).outcome is Outcome.FAILED


def test_old_tokens_make_the_group_stale():
    spans = [VersionSpan(0, 3, 1), VersionSpan(0, 6, 2)]
    book = book_of(scored(0, 0, 1.0, spans=spans), scored(0, 1, 0.0, spans=[VersionSpan(0, 6, 3)]))
    assert ending(book, version=5) is None
    assert ending(book, version=6).outcome is Outcome.STALE


def test_late_group_expires_only_after_the_log_was_read_to_its_end():
    book = book_of(scored(0, 0, 1.0, deadline=10.0))
    assert ending(book, now=11.0, caught_up=False) is None
    assert ending(book, now=11.0).outcome is Outcome.EXPIRED
    assert ending(book, now=9.0) is None


@pytest.mark.parametrize("purpose", [Purpose.EVAL, Purpose.ASSESS])
def test_measured_groups_are_never_trained_on(purpose):
    book = book_of(scored(0, 0, 1.0, purpose=purpose), scored(0, 1, 0.0, purpose=purpose))
    assert (ending(book).outcome, ending(book).reason) == (Outcome.FILTERED, "measured")


def test_shadow_score_does_not_count():
    book = book_of(scored(0, 0, 0.3, route=Route.GENRM), scored(0, 0, 1.0))
    assert book.open[0].scores == [1.0]


def test_the_first_verdict_of_a_sample_stays():
    assert book_of(scored(0, 0, 1.0), scored(0, 0, 0.0)).open[0].scores == [1.0]


def test_records_of_a_closed_group_change_nothing():
    book = book_of(scored(0, 0, 1.0), scored(0, 1, 0.0))
    book.close(book.open[0])
    assert not book.add_scored(scored(0, 0, 1.0), at(SCORED, 9))
    assert not book.add_ticket(ticket(0), at(PROMPTS, 9))
    assert book.open == {}


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=40), st.sets(st.integers(0, 5)))
def test_resuming_at_the_watermarks_sees_every_record_of_every_open_group(records, to_close):
    log = [(seq, is_ticket) for seq, is_ticket in records]
    book = GroupBook()

    def feed(book: GroupBook, first: dict[TopicPartition, int]) -> None:
        for offset, (seq, is_ticket) in enumerate(log):
            read = at(PROMPTS if is_ticket else SCORED, offset)
            if offset < first.get(read.source, 0):
                continue
            if is_ticket:
                book.add_ticket(ticket(seq), read)
            else:
                book.add_scored(scored(seq, offset % 2, 1.0), read)

    feed(book, {})
    for seq in to_close & set(book.open):
        book.close(book.open[seq])
    marks = book.watermarks({PROMPTS: len(log), SCORED: len(log)})
    again = GroupBook(book.closed)
    feed(again, marks)
    assert again.open == book.open
