import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.messages import RUN, scored, ticket

from infra.settings.learner import LearnerSettings
from infra.settings.limits import Limits
from streams.codec import DecodeError, encode
from streams.messages import Outcome, Purpose, VersionSpan
from streams.records import Record
from trainer.groups.batching import Intake
from trainer.groups.replay import Source
from trainer.seqset import SeqSet


def intake_of(
    *, closed: SeqSet | None = None, per_step: int = 2, window_share: float = 1.0, run: str = RUN, ends: bool = False
) -> Intake:
    source = Source(run, "prompts", "scored", ends=ends)
    limits = Limits(staleness=1, groups_per_step=per_step, window_share=window_share)
    return Intake(source, LearnerSettings(), limits, closed or SeqSet())


def feed(intake: Intake, *messages) -> None:
    for offset, message in enumerate(messages):
        topic = "prompts" if type(message).__name__ == "PromptTicket" else "scored"
        intake.add(Record(topic, 0, offset, 0.0, b"key", encode(message)))


def complete(seq: int, scores=(1.0, 0.0)):
    return [ticket(seq), *(scored(seq, index, score) for index, score in enumerate(scores))]


def taken_seqs(intake: Intake) -> list[int]:
    return [member.group.seq for member in intake.taken]


def test_complete_groups_are_taken_oldest_first_and_stay_open():
    intake = intake_of()
    feed(intake, *complete(1), *complete(0), *complete(2))
    assert list(intake.take(2)) == []
    assert taken_seqs(intake) == [0, 1]
    assert set(intake.book.open) == {0, 1, 2}


def test_a_taken_group_has_no_other_ending():
    intake = intake_of()
    feed(intake, *complete(0))
    list(intake.take(1))
    assert list(intake.endings(9, 1e13, caught_up=True)) == []  # it would be stale by now


def test_the_window_holds_younger_groups_back():
    intake = intake_of(window_share=0.25)  # W = 1
    feed(intake, ticket(0), *complete(1))
    assert list(intake.take(2)) == []
    assert taken_seqs(intake) == []
    assert intake.waiting


def test_a_group_that_cannot_be_trained_on_is_given_back_as_failed():
    intake = intake_of()
    feed(intake, ticket(0), scored(0, 0, 1.0, prompt=[]), scored(0, 1, 0.0, prompt=[]))
    [(group, ending)] = intake.take(2)
    assert (group.seq, ending.outcome) == (0, Outcome.FAILED)
    assert taken_seqs(intake) == []


def test_measured_groups_hold_no_training_back():
    intake = intake_of()
    feed(intake, ticket(0, purpose=Purpose.EVAL), *complete(1))
    assert list(intake.take(2)) == []
    assert taken_seqs(intake) == [1]
    assert not intake.waiting


def test_records_of_other_runs_are_passed_over():
    intake = intake_of(run="another")
    feed(intake, *complete(0))
    assert intake.book.open == {}


def test_closed_groups_of_a_checkpoint_stay_closed():
    intake = intake_of(closed=SeqSet.of(1, [2]))
    feed(intake, *complete(0), *complete(1), *complete(2), *complete(3))
    assert list(intake.take(4)) == []
    assert taken_seqs(intake) == [1, 3]


def test_what_does_not_decode_is_the_callers_to_set_aside():
    with pytest.raises(DecodeError):
        intake_of().add(Record("scored", 0, 0, 0.0, b"key", b"\xc1"))


def test_a_log_that_ends_is_trained_on_whatever_its_age():
    old = [VersionSpan(0, 0, 3)]
    groups = [ticket(0), scored(0, 0, 1.0, spans=old), scored(0, 1, 0.0, spans=old)]
    for ends, outcomes in ((False, [Outcome.STALE]), (True, [])):
        intake = intake_of(ends=ends)
        feed(intake, *groups)
        found = [ending.outcome for _, ending in intake.endings(version=50, now=0.0, caught_up=False)]
        assert found == outcomes


def test_groups_that_the_log_no_longer_holds_are_waited_for_no_more():
    intake = intake_of(window_share=0.1)
    feed(intake, *complete(2), *complete(4))
    assert list(intake.take(2)) == []
    assert taken_seqs(intake) == []
    intake.skip_unheard()
    assert list(intake.take(2)) == []
    assert taken_seqs(intake) == [2, 4]


@given(st.permutations(range(18)), st.integers(1, 18))
def test_a_log_that_ends_makes_the_same_batches_however_it_is_read(order, chunk):
    """Six groups in three records each, one without spread and one unfinished, read in chunks of any order."""
    scores = [(1.0, 0.0), (0.0, 1.0), (1.0, 1.0), (0.3, 0.6), (0.0, 0.5), (0.9, 0.2)]
    records = [each for seq, found in enumerate(scores) for each in complete(seq, found)]
    records[4 * 3 + 2] = ticket(4)  # its second verdict is missing
    intake = intake_of(window_share=1.0, ends=True)
    batches = []

    def step():
        for group, _ in list(intake.endings(0, now, caught_up=caught_up)):
            intake.close(group)
        assert list(intake.take(2 - len(intake.taken))) == []
        if len(intake.taken) == 2:
            batches.append(taken_seqs(intake))
            for taken in intake.taken:
                intake.close(taken.group)
            intake.taken = []

    now, caught_up = 0.0, False
    for start in range(0, len(order), chunk):
        feed(intake, *(records[i] for i in order[start : start + chunk]))
        for _ in range(4):
            step()
    now, caught_up = math.inf, True
    for _ in range(4):
        step()
    assert [*batches, taken_seqs(intake)] == [[0, 1], [3, 5], []]


def test_a_group_without_spread_frees_its_slot_and_the_batch_fills_with_the_next():
    """Dynamic sampling (DAPO): a step has its full number of groups that teach something."""
    intake = intake_of(window_share=1.0)
    feed(intake, *complete(0), *complete(1, (1.0, 1.0)), *complete(2, (0.0, 0.0)))
    slots = intake.admission.free_slots
    for group, ending in list(intake.endings(0, now=0.0, caught_up=False)):
        assert (ending.outcome, ending.reason) == (Outcome.FILTERED, "zero_variance")
        intake.close(group)
    assert intake.admission.free_slots == slots + 2
    assert list(intake.take(2)) == []
    assert taken_seqs(intake) == [0]
    feed(intake, *complete(3))
    assert list(intake.take(1)) == []
    assert taken_seqs(intake) == [0, 3]
