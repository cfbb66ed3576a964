import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.messages import RUN, scored, ticket

from infra.settings.admission_limits import AdmissionLimits
from infra.settings.learner import LearnerSettings
from streams.codec import DecodeError, encode
from streams.messages import Outcome, Purpose, VersionSpan
from streams.records import Record
from trainer.groups.batching import BatchAssembler
from trainer.groups.replay import GroupSource
from trainer.seqset import SeqSet


def assembler_of(
    *,
    closed: SeqSet | None = None,
    per_step: int = 2,
    window_share: float = 1.0,
    run: str = RUN,
    is_replay: bool = False,
) -> BatchAssembler:
    source = GroupSource(run, "prompts", "scored", is_replay=is_replay)
    limits = AdmissionLimits(staleness=1, groups_per_step=per_step, window_share=window_share)
    return BatchAssembler(source, LearnerSettings(), limits, closed or SeqSet())


def feed(assembler: BatchAssembler, *messages) -> None:
    for offset, message in enumerate(messages):
        topic = "prompts" if type(message).__name__ == "PromptTicket" else "scored"
        assembler.add(Record(topic, 0, offset, 0.0, b"key", encode(message)))


def complete(seq: int, scores=(1.0, 0.0)):
    return [ticket(seq), *(scored(seq, index, score) for index, score in enumerate(scores))]


def taken_seqs(assembler: BatchAssembler) -> list[int]:
    return [member.group.seq for member in assembler.taken]


def test_complete_groups_are_taken_oldest_first_and_stay_open():
    assembler = assembler_of()
    feed(assembler, *complete(1), *complete(0), *complete(2))
    assert list(assembler.take(2)) == []
    assert taken_seqs(assembler) == [0, 1]
    assert set(assembler.book.open) == {0, 1, 2}


def test_a_taken_group_has_no_other_ending():
    assembler = assembler_of()
    feed(assembler, *complete(0))
    list(assembler.take(1))
    assert list(assembler.endings(9, 1e13, caught_up=True)) == []  # it would be stale by now


def test_the_window_holds_younger_groups_back():
    assembler = assembler_of(window_share=0.25)  # W = 1
    feed(assembler, ticket(0), *complete(1))
    assert list(assembler.take(2)) == []
    assert taken_seqs(assembler) == []
    assert assembler.has_untaken_groups


def test_a_group_that_cannot_be_trained_on_is_given_back_as_failed():
    assembler = assembler_of()
    feed(assembler, ticket(0), scored(0, 0, 1.0, prompt=[]), scored(0, 1, 0.0, prompt=[]))
    [(group, ending)] = assembler.take(2)
    assert (group.seq, ending.outcome) == (0, Outcome.FAILED)
    assert taken_seqs(assembler) == []


def test_measured_groups_hold_no_training_back():
    assembler = assembler_of()
    feed(assembler, ticket(0, purpose=Purpose.EVAL), *complete(1))
    assert list(assembler.take(2)) == []
    assert taken_seqs(assembler) == [1]
    assert not assembler.has_untaken_groups


def test_records_of_other_runs_are_passed_over():
    assembler = assembler_of(run="another")
    feed(assembler, *complete(0))
    assert assembler.book.open == {}


def test_closed_groups_of_a_checkpoint_stay_closed():
    assembler = assembler_of(closed=SeqSet.of(1, [2]))
    feed(assembler, *complete(0), *complete(1), *complete(2), *complete(3))
    assert list(assembler.take(4)) == []
    assert taken_seqs(assembler) == [1, 3]


def test_what_does_not_decode_is_the_callers_to_set_aside():
    with pytest.raises(DecodeError):
        assembler_of().add(Record("scored", 0, 0, 0.0, b"key", b"\xc1"))


def test_a_log_that_ends_is_trained_on_whatever_its_age():
    old = [VersionSpan(0, 0, 3)]
    groups = [ticket(0), scored(0, 0, 1.0, spans=old), scored(0, 1, 0.0, spans=old)]
    for is_replay, outcomes in ((False, [Outcome.STALE]), (True, [])):
        assembler = assembler_of(is_replay=is_replay)
        feed(assembler, *groups)
        found = [ending.outcome for _, ending in assembler.endings(version=50, now=0.0, caught_up=False)]
        assert found == outcomes


def test_groups_that_the_log_no_longer_holds_are_waited_for_no_more():
    assembler = assembler_of(window_share=0.1)
    feed(assembler, *complete(2), *complete(4))
    assert list(assembler.take(2)) == []
    assert taken_seqs(assembler) == []
    assembler.close_missing()
    assert list(assembler.take(2)) == []
    assert taken_seqs(assembler) == [2, 4]


@given(st.permutations(range(18)), st.integers(1, 18))
def test_a_log_that_ends_makes_the_same_batches_however_it_is_read(order, chunk):
    """Six groups in three records each, one without spread and one unfinished, read in chunks of any order."""
    scores = [(1.0, 0.0), (0.0, 1.0), (1.0, 1.0), (0.3, 0.6), (0.0, 0.5), (0.9, 0.2)]
    records = [each for seq, found in enumerate(scores) for each in complete(seq, found)]
    records[4 * 3 + 2] = ticket(4)  # its second verdict is missing
    assembler = assembler_of(window_share=1.0, is_replay=True)
    batches = []

    def step():
        for group, _ in list(assembler.endings(0, now, caught_up=caught_up)):
            assembler.close(group)
        assert list(assembler.take(2 - len(assembler.taken))) == []
        if len(assembler.taken) == 2:
            batches.append(taken_seqs(assembler))
            for taken in assembler.taken:
                assembler.close(taken.group)
            assembler.taken = []

    now, caught_up = 0.0, False
    for start in range(0, len(order), chunk):
        feed(assembler, *(records[i] for i in order[start : start + chunk]))
        for _ in range(4):
            step()
    now, caught_up = math.inf, True
    for _ in range(4):
        step()
    assert [*batches, taken_seqs(assembler)] == [[0, 1], [3, 5], []]


def test_a_group_without_spread_frees_its_slot_and_the_batch_fills_with_the_next():
    """Dynamic sampling (DAPO): a step has its full number of groups that teach something."""
    assembler = assembler_of(window_share=1.0)
    feed(assembler, *complete(0), *complete(1, (1.0, 1.0)), *complete(2, (0.0, 0.0)))
    slots = assembler.admission.free_slots
    for group, ending in list(assembler.endings(0, now=0.0, caught_up=False)):
        assert (ending.outcome, ending.reason) == (Outcome.FILTERED, "zero_variance")
        assembler.close(group)
    assert assembler.admission.free_slots == slots + 2
    assert list(assembler.take(2)) == []
    assert taken_seqs(assembler) == [0]
    feed(assembler, *complete(3))
    assert list(assembler.take(1)) == []
    assert taken_seqs(assembler) == [0, 3]


@pytest.mark.parametrize("is_replay", [False, True])
def test_deadlines_follow_the_stamps_of_the_runs_own_tickets_alone(*, is_replay: bool) -> None:
    assembler = assembler_of(is_replay=is_replay)
    for message, topic in ((scored(0, 0, 1.0), "scored"), (ticket(0, run_id="other"), "prompts")):
        assembler.add(Record(topic, 0, 0, 5000.0, b"key", encode(message)))
    assert assembler.clock.now() == -math.inf
    assembler.add(Record("prompts", 0, 1, 1000.0, b"key", encode(ticket(0))))
    assert is_replay or 1000.0 <= assembler.clock.now() < 5000.0
    assert not is_replay or assembler.clock.now() == -math.inf
