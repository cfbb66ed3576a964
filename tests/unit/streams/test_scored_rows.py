"""A scored trajectory as a row: its surprisal estimates the policy's entropy."""

import math

import msgspec
import pytest
from support.messages import rollout, verdict

from streams.messages import Purpose
from streams.records import Record
from streams.scored_rows import KeptTexts, row_of


@pytest.mark.parametrize(
    ("logprobs", "surprisal"),
    [((-0.5, -1.5, -4.0), 2.0), ((), None), ((-math.inf, -1.0), None), ((math.nan, -1.0), None)],
)
def test_surprisal_is_the_mean_of_minus_log_p_over_the_policy_s_tokens(logprobs, surprisal) -> None:
    scored = verdict(rollout(1, 0, tokens=range(len(logprobs)), logprobs=logprobs), 1.0)
    assert row_of(Record("scored", 0, 0, 0.0, b"k", b"v"), scored).surprisal == surprisal


@pytest.mark.parametrize(("details", "answer"), [({"answer": "7"}, "7"), ({}, None), ({"answer": 7}, None)])
def test_the_answer_that_the_verifier_read_is_stored(details, answer) -> None:
    scored = msgspec.structs.replace(verdict(rollout(1, 0), 1.0), details=details)
    assert row_of(Record("scored", 0, 0, 0.0, b"k", b"v"), scored).answer == answer


@pytest.mark.parametrize(
    ("seq", "purpose", "keeps"),
    [
        (9, Purpose.TRAIN, True),
        (10, Purpose.TRAIN, False),
        (10, Purpose.ASSESS, False),
        (10, Purpose.EVAL, True),
        (12, Purpose.TRAIN, True),
    ],
)
def test_texts_of_first_groups_of_one_later_group_in_some_and_of_held_out_responses_are_kept(
    seq, purpose, keeps
) -> None:
    scored = verdict(msgspec.structs.replace(rollout(seq, 0), purpose=purpose), 1.0)
    row = row_of(Record("scored", 0, 0, 0.0, b"k", b"v"), scored, KeptTexts(first_groups=10, later_one_in=4))
    assert row.keeps_text is keeps
