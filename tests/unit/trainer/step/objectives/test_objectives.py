"""The parts of the objective whose meaning a formula alone does not show."""

import math

import pytest
import torch
from support.objective_cases import LENGTHS, row_of

from trainer.step.objectives.averaging import Counts, coefficients
from trainer.step.objectives.clipping import clipped_surrogate
from trainer.step.objectives.kl import importance_weighted, kl_estimate
from trainer.step.objectives.ratios import log_ratio, sequence_mean
from trainer.step.objectives.value import value_error


def test_the_clip_removes_the_gradient():
    ratio = torch.tensor([2.0, 1.0, 2.0, 4.0], requires_grad=True)
    advantages = torch.tensor([1.0, 1.0, -1.0, -1.0])
    found = clipped_surrogate(ratio, advantages, 0.2, 0.28, dual=3.0)
    found.loss_N.sum().backward()
    assert ratio.grad is not None
    assert ratio.grad.tolist() == [0.0, -1.0, 1.0, 0.0]
    assert found.clipped_N.tolist() == [True, False, False, True]


def test_log_ratios_are_bounded_and_finite():
    found = log_ratio(torch.tensor([-1.0, -1.0, 0.0, -90.0]), torch.tensor([-math.inf, math.nan, -90.0, 0.0]))
    assert found.tolist() == [0.0, 0.0, 20.0, -20.0]


def test_sequence_mean_is_each_responses_own():
    values = torch.arange(14.0, requires_grad=True)
    found = sequence_mean(values, row_of().trajectory_N)
    assert found.tolist() == [1.0] * 3 + [5.0] * 5 + [8.5] * 2 + [11.5] * 4
    found[0].backward()
    assert values.grad is not None
    torch.testing.assert_close(values.grad[:4], torch.tensor([1 / 3, 1 / 3, 1 / 3, 0.0]))


@pytest.mark.parametrize(("estimator", "weighted"), [("k1", False), ("k3", False), ("k1", True), ("k3", True)], ids=str)
def test_kl_estimates_are_unbiased(estimator, weighted):
    """The mean over the sampling distribution, summed exactly, is the divergence; weighted, over another's samples."""
    policy = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    reference = torch.tensor([0.2, 0.2, 0.6], dtype=torch.float64)
    sampler = torch.tensor([0.1, 0.6, 0.3], dtype=torch.float64) if weighted else policy
    estimate = kl_estimate(policy.log(), reference.log(), estimator)
    if weighted:
        estimate = importance_weighted(estimate, policy.log(), sampler.log())
    exact = (policy * (policy / reference).log()).sum()
    torch.testing.assert_close((sampler * estimate).sum(), exact)


@pytest.mark.parametrize("estimator", ["k1", "k3"])
def test_the_weighted_estimates_gradient_is_the_divergences(estimator):
    """Summed exactly over what another policy samples."""
    logits = torch.tensor([0.3, -0.2, 0.8], dtype=torch.float64, requires_grad=True)
    reference = torch.log_softmax(torch.tensor([0.1, 0.4, -0.6], dtype=torch.float64), 0)
    sampler = torch.tensor([0.1, 0.6, 0.3], dtype=torch.float64)
    policy = torch.log_softmax(logits, 0)
    (exact,) = torch.autograd.grad((policy.exp() * (policy - reference)).sum(), logits, retain_graph=True)
    estimate = importance_weighted(kl_estimate(policy, reference, estimator), policy, sampler.log())
    (found,) = torch.autograd.grad((sampler * estimate).sum(), logits)
    torch.testing.assert_close(found, exact)


def test_k2_has_the_divergences_gradient_on_its_own_samples():
    logits = torch.tensor([0.3, -0.2, 0.8], dtype=torch.float64, requires_grad=True)
    reference = torch.log_softmax(torch.tensor([0.1, 0.4, -0.6], dtype=torch.float64), 0)
    policy = torch.log_softmax(logits, 0)
    (exact,) = torch.autograd.grad((policy.exp() * (policy - reference)).sum(), logits, retain_graph=True)
    mean = (policy.exp().detach() * kl_estimate(policy, reference, "k2")).sum()
    (found,) = torch.autograd.grad(mean, logits)
    torch.testing.assert_close(found, exact)


@pytest.mark.parametrize(
    ("average", "expected"),
    [
        ("token", [1 / 12] * 8 + [0] * 2 + [1 / 12] * 4),
        ("sequence", [1 / 9] * 3 + [1 / 15] * 5 + [0] * 2 + [1 / 12] * 4),
        ("constant", [1 / 24] * 8 + [0] * 2 + [1 / 24] * 4),
    ],
)
def test_coefficients(average, expected):
    kept = torch.tensor([True, True, False, True])
    row = row_of()
    counts = Counts.of(LENGTHS, kept.tolist())
    found = coefficients(row, kept, counts, average, constant=8)
    torch.testing.assert_close(found, torch.tensor(expected))
    assert counts == Counts(sum(LENGTHS) - 2, 3)


def test_value_error_takes_the_larger():
    # old 0, new 1, return 1: unclipped error 0, clipped value 0.2 has error 0.64
    one, zero = torch.tensor([1.0]), torch.tensor([0.0])
    assert float(value_error(one, zero, one, 0.2)) == pytest.approx(0.32)
    assert float(value_error(one, zero, one, 0)) == 0
