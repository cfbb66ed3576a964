"""Each estimator against a float64 loop straight from its paper."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainer.step.advantages.gae import gae, length_adaptive_lambda, returns_to_go
from trainer.step.advantages.group_baselines import group_centred, group_normalised, leave_one_out
from trainer.step.advantages.vtrace import vtrace_advantages, vtrace_errors
from trainer.step.advantages.whitening import whiten

number = st.floats(-2, 2, width=32)
ragged = st.lists(st.lists(st.tuples(number, number, number), min_size=1, max_size=6), min_size=1, max_size=4)
"""[trajectory][token]: reward, value, log of the importance ratio."""
share = st.floats(0, 1)


def padded(rows):
    """Rewards, values, ratios and mask [B, T]; what lies outside the mask must not matter."""
    shape = (len(rows), max(map(len, rows)))
    rewards, values, ratios, mask = (torch.zeros(shape) for _ in range(4))
    for i, row in enumerate(rows):
        rewards[i, : len(row)], values[i, : len(row)], logs = (torch.tensor(c) for c in zip(*row, strict=True))
        ratios[i, : len(row)] = logs.exp()
        mask[i, : len(row)] = 1
    ratios[mask == 0] = 7.0
    return rewards, values, ratios, mask


def deltas_of(row, gamma):
    following = [*(value for _, value, _ in row[1:]), 0.0]
    return [reward + gamma * after - value for (reward, value, _), after in zip(row, following, strict=True)]


def gae_by_definition(row, gamma, lam):
    """A_t = sum_k (gamma lam)^k delta_{t+k} (1506.02438, equation 16)."""
    deltas = deltas_of(row, gamma)
    return [sum((gamma * lam) ** k * delta for k, delta in enumerate(deltas[t:])) for t in range(len(row))]


def vtrace_by_definition(row, gamma, lam):
    """v_t - V_t = sum_k gamma^k (prod c) rho delta (1802.01561, equation 1), c = lam min(1, w), rho = min(1, w)."""
    deltas, rho = deltas_of(row, gamma), [min(1.0, float(np.exp(log))) for _, _, log in row]
    errors = []
    for t in range(len(row)):
        total = 0.0
        for s in range(t, len(row)):
            total += gamma ** (s - t) * np.prod([lam * rho[i] for i in range(t, s)]) * rho[s] * deltas[s]
        errors.append(total)
    return errors


def check(found, rows, expected):
    for i, row in enumerate(rows):
        np.testing.assert_allclose(found[i, : len(row)].numpy(), expected(row), rtol=1e-3, atol=1e-4)
        assert not found[i, len(row) :].any()


@given(ragged, share, share)
def test_gae_equals_its_definition(rows, gamma, lam):
    rewards, values, _, mask = padded(rows)
    check(gae(rewards, values, mask, gamma, lam), rows, lambda row: gae_by_definition(row, gamma, lam))


@given(ragged, share, share)
def test_vtrace_equals_its_definition(rows, gamma, lam):
    rewards, values, ratios, mask = padded(rows)
    errors = vtrace_errors(rewards, values, ratios, mask, gamma=gamma, lam_B=lam)
    check(errors, rows, lambda row: vtrace_by_definition(row, gamma, lam))

    def advantages(row):
        ahead = [*(v + lam * e for (_, v, _), e in zip(row, vtrace_by_definition(row, gamma, lam), strict=True)), 0.0]
        return [r + gamma * ahead[t + 1] - v for t, (r, v, _) in enumerate(row)]

    check(vtrace_advantages(rewards, values, errors, mask, gamma=gamma, lam_B=lam), rows, advantages)


@given(ragged, share, share)
def test_vtrace_of_its_own_samples_is_gae(rows, gamma, lam):
    rewards, values, _, mask = padded(rows)
    expected = gae(rewards, values, mask, gamma, lam)
    errors = vtrace_errors(rewards, values, torch.ones_like(mask), mask, gamma=gamma, lam_B=lam)
    torch.testing.assert_close(errors, expected)
    found = vtrace_advantages(rewards, values, errors, mask, gamma=gamma, lam_B=lam)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@given(ragged, share)
def test_returns_to_go_sum_what_comes(rows, gamma):
    rewards, _, _, mask = padded(rows)

    def expected(row):
        return [sum(gamma**k * reward for k, (reward, _, _) in enumerate(row[t:])) for t in range(len(row))]

    check(returns_to_go(rewards, mask, gamma), rows, expected)


def test_lambda_follows_the_length():
    """VAPO, equation 9, alpha 0.05: 0 up to 20 tokens, 0.98 at 1,000; each trajectory with its own."""
    lam = length_adaptive_lambda([5, 20, 40, 1000], 0.05)
    np.testing.assert_allclose(lam.numpy(), [0, 0, 0.5, 0.98], atol=1e-6)
    rows = [[(0.3, 0.2, 0.0)] * 4, [(0.1, -0.5, 0.0)] * 3]
    rewards, values, _, mask = padded(rows)
    found = gae(rewards, values, mask, 0.9, torch.tensor([0.2, 0.7]))
    for i, (row, lam_i) in enumerate(zip(rows, (0.2, 0.7), strict=True)):
        np.testing.assert_allclose(found[i, : len(row)].numpy(), gae_by_definition(row, 0.9, lam_i), rtol=1e-5)


def test_group_advantages_by_hand():
    # mean 0.5, population std 0.5, floor 0.05
    assert group_normalised([1.0, 0.0], 0.05) == pytest.approx([0.5 / 0.55, -0.5 / 0.55])
    assert group_centred([1.0, 0.0, 0.5]) == pytest.approx([0.5, -0.5, 0.0])
    assert leave_one_out([1.0, 0.0, 0.5]) == pytest.approx([0.75, -0.75, 0.0])
    assert leave_one_out([1.0]) == [0.0]


@given(st.lists(st.floats(0, 1), min_size=2, max_size=9))
def test_leave_one_out_subtracts_the_mean_of_the_others(scores):
    expected = [s - sum(scores[:i] + scores[i + 1 :]) / (len(scores) - 1) for i, s in enumerate(scores)]
    assert leave_one_out(scores) == pytest.approx(expected, abs=1e-9)


def test_equal_scores_have_no_advantage():
    for estimator in (lambda s: group_normalised(s, 0.05), group_centred, leave_one_out):
        assert estimator([0.3, 0.3, 0.3]) == pytest.approx([0, 0, 0])


def test_whiten_has_zero_mean_and_unit_variance():
    white = whiten(torch.tensor([1.0, 2.0, 3.0, 6.0]))
    assert float(white.mean()) == pytest.approx(0, abs=1e-6)
    assert float(white.var(unbiased=False)) == pytest.approx(1, abs=1e-5)
