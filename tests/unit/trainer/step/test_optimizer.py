"""bfloat16 weights with float32 masters, and gradients that are not finite."""

import math

import pytest
import torch
from support.ppo_cases import GROUP, VALUE, batch_of, changed, ppo_of
from torch import nn

from trainer.step.language_models import policy_forward
from trainer.step.optimizer import Optimizer
from trainer.step.ppo import PPO
from trainer.weights.build_models import hold_in_bfloat16


def in_bfloat16(folder, settings) -> PPO:
    ppo = ppo_of(folder, settings)
    hold_in_bfloat16(ppo.policy)
    if ppo.value is not None:
        hold_in_bfloat16(ppo.value.trunk)
    return PPO(ppo.policy, ppo.value, settings)


@pytest.mark.parametrize("autocast", [False, True])
def test_losses_are_float32_whatever_the_weights_are(tiny_policy_folder, autocast):
    ppo = in_bfloat16(tiny_policy_folder, changed(VALUE, param_dtype="bfloat16", autocast=autocast))
    assert ppo.policy.model.layers[0].mlp.up_proj.weight.dtype is torch.bfloat16
    row = batch_of(ppo).rows[0]
    output = policy_forward(ppo.policy, row)
    assert output.logprobs_N.dtype is torch.float32
    assert output.hidden_ND.dtype is torch.float32
    assert ppo.value(row, None).dtype is torch.float32
    exact = ppo_of(tiny_policy_folder, VALUE)
    expected = policy_forward(exact.policy, row).logprobs_N
    torch.testing.assert_close(output.logprobs_N, expected, rtol=0.05, atol=0.15)
    report = ppo.step(batch_of(ppo), version=0, seed=0)
    assert math.isfinite(report.policy_loss)
    assert report.policy_gradient_norm > 0


def test_small_updates_reach_the_weights_only_through_masters():
    """An update of a thousandth of a weight is below half of bfloat16's last place: a hundred of them are one tenth."""
    moved = {}
    for masters in (True, False):
        weight = nn.Parameter(torch.ones(4, 4, dtype=torch.bfloat16))
        optimizer = Optimizer([("w", weight)], 1e-3, changed(GROUP, param_dtype="bfloat16", fp32_masters=masters))
        for _ in range(100):
            weight.sum().backward()
            optimizer.apply(optimizer.gradient_norm())
        moved[masters] = 1 - weight.detach().float().mean().item()
    assert moved[True] == pytest.approx(0.1, rel=0.05)
    assert moved[False] == 0.0


def test_masters_are_what_float32_weights_would_be():
    settings = changed(GROUP, param_dtype="bfloat16")
    draw = torch.Generator().manual_seed(0)
    start = torch.randn(5, 3, generator=draw).bfloat16()
    narrow, wide = nn.Parameter(start.clone()), nn.Parameter(start.float())
    optimizers = [Optimizer([("w", weight)], 1e-2, settings) for weight in (narrow, wide)]
    for _ in range(5):
        gradient = torch.randn(5, 3, generator=draw).bfloat16()
        for weight, optimizer in zip((narrow, wide), optimizers, strict=True):
            weight.grad = gradient.to(weight.dtype)
            optimizer.apply(optimizer.gradient_norm())
    master = optimizers[0].tensors()["w.master"]
    torch.testing.assert_close(master, wide.detach(), rtol=0, atol=0)
    assert torch.equal(narrow, wide.bfloat16())


@pytest.mark.parametrize("clip", [1e9, 1.0, 0.01])
def test_steps_are_adamw_on_clipped_gradients(clip):
    """Against plain float64 (Loshchilov and Hutter 1711.05101, algorithm 2). Steps are of very different size, or their
    scale would fall out.
    """
    settings = changed(GROUP, gradient_clip=clip)
    draw = torch.Generator().manual_seed(1)
    weights = [nn.Parameter(torch.randn(shape, generator=draw)) for shape in ((5, 3), (7,))]
    expected = torch.cat([weight.detach().double().flatten() for weight in weights])
    first, second = torch.zeros_like(expected), torch.zeros_like(expected)
    optimizer = Optimizer(((str(n), weight) for n, weight in enumerate(weights)), 1e-2, settings)
    (beta1, beta2), decay = settings.betas, settings.weight_decay
    for number, size in enumerate((0.02, 3.0, 0.5), start=1):
        for weight in weights:
            weight.grad = torch.randn(weight.shape, generator=draw) * size
        gradient = torch.cat([weight.grad.double().flatten() for weight in weights])
        norm = gradient.norm()
        gradient *= min(1.0, clip / (float(norm) + 1e-6))
        first = beta1 * first + (1 - beta1) * gradient
        second = beta2 * second + (1 - beta2) * gradient**2
        scaled = (first / (1 - beta1**number)) / ((second / (1 - beta2**number)).sqrt() + 1e-8)
        expected = expected - 1e-2 * (decay * expected + scaled)
        found = optimizer.gradient_norm()
        torch.testing.assert_close(found.double(), norm)
        optimizer.apply(found)
    torch.testing.assert_close(torch.cat([w.detach().double().flatten() for w in weights]), expected)


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_an_update_that_is_not_finite_changes_nothing(tiny_policy_folder, broken):
    """Neither model nor optimizer: the next good step is that of a run which never saw it."""
    settings = changed(VALUE, minibatches=1)
    ppo, other = (ppo_of(tiny_policy_folder, settings) for _ in range(2))
    batch = batch_of(ppo)
    hook = next(ppo.policy.parameters()).register_hook(lambda gradient: torch.full_like(gradient, broken))
    report = ppo.step(batch, version=0, seed=0)
    hook.remove()
    (skipped,) = report.skipped
    assert (skipped.minibatch, skipped.groups) == (0, (0, 1))
    assert not math.isfinite(skipped.policy_gradient_norm)
    assert math.isfinite(skipped.value_gradient_norm)
    assert ppo.skips_in_a_row == 1
    assert report.policy_loss == 0
    found, expected = (each.step(batch, version=1, seed=0) for each in (ppo, other))
    assert ppo.skips_in_a_row == 0
    assert (found.policy_loss, found.value_loss) == (expected.policy_loss, expected.value_loss)
    for ours, theirs in zip(ppo.policy.parameters(), other.policy.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_one_bad_mini_batch_leaves_the_other(tiny_policy_folder):
    settings = changed(GROUP, minibatches=2)
    ppo = ppo_of(tiny_policy_folder, settings)
    batch = batch_of(ppo)
    calls = []

    def first_is_bad(gradient):
        calls.append(1)
        return torch.full_like(gradient, math.nan) if len(calls) == 1 else gradient

    next(ppo.policy.parameters()).register_hook(first_is_bad)
    report = ppo.step(batch, version=0, seed=0)
    assert [update.minibatch for update in report.skipped] == [0]
    assert len(report.skipped[0].groups) == 1
    assert report.policy_gradient_norm > 0
    assert ppo.skips_in_a_row == 0


def test_applying_what_is_not_finite_is_refused():
    weight = nn.Parameter(torch.ones(2, 2))
    optimizer = Optimizer([("w", weight)], 1e-3, GROUP)
    weight.grad = torch.full((2, 2), math.nan)
    with pytest.raises(ValueError, match="discard"):
        optimizer.apply(optimizer.gradient_norm())
    assert torch.equal(weight, torch.ones(2, 2))
