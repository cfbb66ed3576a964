"""A scored trajectory as a row: its surprisal estimates the policy's entropy."""

import math

import pytest
from support.messages import rollout, verdict

from streams.records import Record
from streams.scored_rows import row_of


@pytest.mark.parametrize(
    ("logprobs", "surprisal"),
    [((-0.5, -1.5, -4.0), 2.0), ((), None), ((-math.inf, -1.0), None), ((math.nan, -1.0), None)],
)
def test_surprisal_is_the_mean_of_minus_log_p_over_the_policy_s_tokens(logprobs, surprisal) -> None:
    scored = verdict(rollout(1, 0, tokens=range(len(logprobs)), logprobs=logprobs), 1.0)
    assert row_of(Record("scored", 0, 0, 0.0, b"k", b"v"), scored).surprisal == surprisal
