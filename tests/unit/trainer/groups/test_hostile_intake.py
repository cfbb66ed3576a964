"""The learner's intake: whatever the log holds, each dispatched group ends, and only a group that a bad record names
fails.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.hostile_messages import good_record, hostile_records
from support.messages import RUN, rollout, scored, started, ticket, verdict

from infra.settings.admission_limits import AdmissionLimits
from infra.settings.learner import LearnerSettings
from streams.arrays import pack_tokens
from streams.codec import DecodeError, encode
from streams.messages import Outcome, Purpose, Segment, Source
from streams.records import Record
from trainer.groups.batching import BatchAssembler, OrphanWatch
from trainer.groups.replay import GroupSource
from trainer.seqset import SeqSet
from trainer.step.batch import pack_batch

VOCABULARY = 256
OTHERS = [ticket(0), rollout(0, 0), started(1, 0), scored(9, 0, 1.0, run_id="other")]
NOW = 1e6


def assembler_of() -> BatchAssembler:
    source = GroupSource(RUN, "prompts", "scored", is_replay=False)
    limits = AdmissionLimits(staleness=1, groups_per_step=4, window_share=1.0)
    return BatchAssembler(source, LearnerSettings(), limits, SeqSet(), vocabulary=VOCABULARY)


def verdicts_of(seq: int) -> list[Record]:
    return [good_record(scored(seq, index, float(index)), "scored", 10 * seq + index) for index in range(2)]


def run(assembler: BatchAssembler, records: list[Record]) -> tuple[dict[int, Outcome], list[DecodeError], list[int]]:
    """Reads the records, then plays the learner until nothing is left to do; returns endings, errors and orphans."""
    errors, ended = [], {}
    for record in records:
        try:
            assembler.add(record)
        except DecodeError as error:
            errors.append(error)
    for now in (NOW, 1e12):  # before and after all deadlines
        for group, ending in list(assembler.endings(0, now, caught_up=True)):
            ended[group.seq] = ending.outcome
            assembler.close(group)
        for group, ending in list(assembler.take(99)):
            ended[group.seq] = ending.outcome
            assembler.close(group)
        groups = [member.trajectories for member in assembler.taken]
        if groups:
            batch = pack_batch(groups, 4096)
            assert all(0 <= row.packed.input_ids.min() <= row.packed.input_ids.max() < VOCABULARY for row in batch.rows)
            assert all(np.isfinite(row.behaviour_N.numpy()).all() for row in batch.rows)
        for member in assembler.taken:
            ended[member.group.seq] = Outcome.TRAINED
            assembler.close(member.group)
        assembler.taken = []
    orphans = OrphanWatch(patience_seconds=0.0)
    assert orphans.orphans(assembler.book, 0.0, lambda: True) == []
    lost = orphans.orphans(assembler.book, 1.0, lambda: True)
    assembler.drop_orphans(lost)
    assert assembler.book.open == {}
    return ended, errors, lost


@given(
    bad=st.lists(
        st.one_of(hostile_records(scored(1, 1, 1.0), "scored", OTHERS), hostile_records(ticket(1), "prompts", OTHERS)),
        min_size=1,
        max_size=4,
    ),
    before=st.booleans(),
)
@settings(max_examples=300)
def test_no_record_ends_the_learner_or_costs_another_group(bad, before) -> None:
    """Groups 0 and 2 are innocent. The bad records stand in place of group 1's, or of its second verdict."""
    innocent = [good_record(ticket(seq), "prompts", seq) for seq in (0, 2)] + verdicts_of(0) + verdicts_of(2)
    own = [good_record(ticket(1), "prompts", 1), verdicts_of(1)[0]]
    records = [*own, *bad, *innocent] if before else [*innocent, *bad, *own]
    ended, _, lost = run(assembler_of(), records)
    named = {seq for seq in (0, 2) for record in bad if f"run:{seq}".encode() in (record.value or b"")}
    assert {seq: ended[seq] for seq in (0, 2) if seq not in named} == {
        seq: Outcome.TRAINED for seq in (0, 2) if seq not in named
    }
    assert 1 in ended
    assert not {0, 1, 2} & set(lost)


def refused(record: Record) -> dict[int, Outcome]:
    """How groups 0 and 1 end if the record comes in place of group 1's second verdict."""
    records = [good_record(ticket(seq), "prompts", seq) for seq in (0, 1)] + verdicts_of(0) + verdicts_of(1)[:1]
    return run(assembler_of(), [*records, record])[0]


@pytest.mark.parametrize(
    "changes",
    [
        {"score": float("nan")},
        {"score": 1e6},
        {"score": -3.0},
        {"score": None},
        {"group_size": 3},
        {"logprobs": (-1.0,)},
        {"tokens": (5, 2**31 - 1, 7)},
        {"tokens": (5, VOCABULARY, 7)},
        {"tokens": (-1, 6, 7)},
        {"logprobs": (float("nan"), -1.0, -1.0)},
        {"logprobs": (-1e30, -1.0, -1.0)},
        {"prompt": (9, 9)},
        {"purpose": Purpose.EVAL},
    ],
    ids=str,
)
def test_a_verdict_that_cannot_be_used_fails_its_group_and_no_other(changes) -> None:
    score = changes.pop("score", 1.0)
    bad = good_record(verdict(rollout(1, 1, **changes), score, status="correct"), "scored", 11)
    assert refused(bad) == {0: Outcome.TRAINED, 1: Outcome.FAILED}


@pytest.mark.parametrize("index", [99, -1])
def test_a_sample_that_is_none_of_its_group_is_set_aside_alone(index) -> None:
    bad = good_record(verdict(rollout(1, index), 1.0), "scored", 11)
    assert refused(bad) == {0: Outcome.TRAINED, 1: Outcome.EXPIRED}


def test_a_bad_copy_of_a_good_verdict_changes_nothing() -> None:
    records = [good_record(ticket(1), "prompts"), *verdicts_of(1)]
    bad = good_record(verdict(rollout(1, 1), 1e6), "scored", 99)
    ended, errors, _ = run(assembler_of(), [*records, bad])
    assert (ended, len(errors)) == ({1: Outcome.TRAINED}, 1)


def test_a_ticket_of_a_later_schema_fails_its_group_and_frees_the_window() -> None:
    later = encode(ticket(0)).replace(b"train", b"tr\xc3\xa4n")  # a purpose that this version does not know
    records = [Record("prompts", 0, 0, 0.0, b"run:0", later), good_record(ticket(1), "prompts", 1), *verdicts_of(1)]
    ended, errors, _ = run(assembler_of(), records)
    assert (ended, len(errors)) == ({0: Outcome.FAILED, 1: Outcome.TRAINED}, 1)


def test_verdicts_on_a_group_that_was_never_dispatched_are_set_aside_and_not_closed() -> None:
    records = [good_record(ticket(0), "prompts"), *verdicts_of(0), *verdicts_of(10**9)]
    ended, _, lost = run(assembler_of(), records)
    assert (ended, lost) == ({0: Outcome.TRAINED}, [10**9])


def test_a_verdict_may_come_before_its_ticket() -> None:
    ended, _, lost = run(assembler_of(), [*verdicts_of(0), good_record(ticket(0), "prompts")])
    assert (ended, lost) == ({0: Outcome.TRAINED}, [])


def test_a_bad_verdict_may_come_before_its_ticket() -> None:
    bad = good_record(verdict(rollout(0, 1), 7.0), "scored", 3)
    ended, _, _ = run(assembler_of(), [bad, verdicts_of(0)[0], good_record(ticket(0), "prompts")])
    assert ended == {0: Outcome.FAILED}


def test_a_response_without_a_prompt_is_not_trained_on() -> None:
    alone = Segment(source=Source.ENVIRONMENT, token_ids=pack_tokens([1]))
    bad = good_record(verdict(rollout(1, 1, segments=(alone,), spans=()), 1.0), "scored", 11)
    assert refused(bad) == {0: Outcome.TRAINED, 1: Outcome.FAILED}
