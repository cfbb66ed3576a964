import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainer.advantages import gae, group_advantages, whiten


def gae_by_definition(rewards, values, gamma, lam):
    """A_t = sum_k (gamma lam)^k delta_{t+k}, in float64, straight from 1506.02438 equation 16."""
    n = len(rewards)
    following = [*values[1:], 0.0]
    deltas = [rewards[t] + gamma * following[t] - values[t] for t in range(n)]
    return [sum((gamma * lam) ** k * deltas[t + k] for k in range(n - t)) for t in range(n)]


@given(
    st.lists(st.lists(st.floats(-2, 2, width=32), min_size=1, max_size=6), min_size=1, max_size=4),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_gae_equals_its_definition(rows, gamma, lam):
    longest = max(map(len, rows))
    values = torch.zeros(len(rows), longest)
    rewards = torch.zeros(len(rows), longest)
    mask = torch.zeros(len(rows), longest)
    for i, row in enumerate(rows):
        values[i, : len(row)] = torch.tensor(row)
        rewards[i, len(row) - 1] = 1.0
        mask[i, : len(row)] = 1
    found = gae(rewards, values, mask, gamma, lam)
    for i, row in enumerate(rows):
        expected = gae_by_definition([0.0] * (len(row) - 1) + [1.0], row, gamma, lam)
        np.testing.assert_allclose(found[i, : len(row)].numpy(), expected, rtol=1e-4, atol=1e-5)
        assert not found[i, len(row) :].any()


def test_group_advantages_by_hand():
    # mean 0.5, population std 0.5, floor 0.05
    assert group_advantages([1.0, 0.0], 0.05) == pytest.approx([0.5 / 0.55, -0.5 / 0.55])


def test_equal_scores_have_no_advantage():
    assert group_advantages([0.3, 0.3, 0.3], 0.05) == pytest.approx([0, 0, 0])


def test_whiten_has_zero_mean_and_unit_variance():
    white = whiten(torch.tensor([1.0, 2.0, 3.0, 6.0]))
    assert float(white.mean()) == pytest.approx(0, abs=1e-6)
    assert float(white.var(unbiased=False)) == pytest.approx(1, abs=1e-5)
