"""Rows and tokens of a step by formula, and as the learner packs them."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from infra.capacity.hardware import Assumptions
from infra.capacity.rows import row_sizes
from infra.settings.tree import Settings
from trainer.step.batch import pack_batch
from trainer.step.trajectory import Trajectory


def packed(prompt, response, samples, groups, budget):
    made, logprobs = np.ones(response, np.bool_), np.zeros(response, np.float32)
    ids = (np.zeros(prompt, np.int32), np.zeros(response, np.int32))
    member = Trajectory(*ids, made, logprobs, np.zeros(response, np.int32), 1.0, 1.0, "d")
    return pack_batch([[member] * samples] * groups, budget)


@given(st.integers(1, 60), st.integers(1, 90), st.integers(2, 6), st.integers(1, 5), st.integers(64, 400))
def test_rows_and_tokens_are_those_of_the_packed_batch(prompt, response, samples, groups, budget):
    settings = Settings(
        rollout={"sampling": {"max_new_tokens": 2 * response}},
        selector={"group_size": samples, "admission": {"groups_per_step": groups}},
        learner={"packed_row_tokens": budget},
    )
    sizes = row_sizes(settings, Assumptions(prompt_tokens=prompt, response_tokens=response))
    batch = packed(prompt, response, samples, groups, budget)
    assert (sizes.rows, sizes.tokens, sizes.targets) == (len(batch.rows), batch.tokens, batch.targets)
    # Enough groups to fill a row, of the mean length and of the longest.
    for row, length in zip(sizes.fullest, (response, 2 * response), strict=True):
        many = packed(prompt, length, samples, 1 + budget // (prompt + length), budget)
        assert row.tokens == max(len(each.packed.input_ids) for each in many.rows)


def test_the_mean_length_is_half_of_the_longest_if_nothing_is_said():
    settings = Settings(rollout={"sampling": {"max_new_tokens": 8, "max_new_tokens_by_domain": {"writing": 64}}})
    sizes = row_sizes(settings, Assumptions())
    assert (sizes.response, sizes.longest_response) == (32, 64)
