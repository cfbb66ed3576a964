import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainer.losses import ppo_policy_loss, value_loss

tokens = st.lists(st.tuples(st.floats(-5, 0), st.floats(-5, 0), st.floats(-3, 3)), min_size=1, max_size=10)


def ppo_by_definition(rows, low, high):
    total = 0.0
    for logprob, behaviour, advantage in rows:
        ratio = math.exp(logprob - behaviour)
        total -= min(ratio * advantage, min(max(ratio, 1 - low), 1 + high) * advantage)
    return total


@given(tokens)
def test_policy_loss_equals_its_definition(rows):
    new, old, advantages = (torch.tensor(column) for column in zip(*rows, strict=True))
    found = ppo_policy_loss(new, old, advantages, 0.2, 0.28)
    assert float(found.total) == pytest.approx(ppo_by_definition(rows, 0.2, 0.28), rel=1e-3, abs=1e-3)


def test_the_clip_removes_the_gradient():
    new = torch.tensor([0.0, -3.0], requires_grad=True)
    loss = ppo_policy_loss(new, torch.tensor([-1.0, -3.0]), torch.tensor([1.0, 1.0]), 0.2, 0.28)
    loss.total.backward()
    assert new.grad is not None
    assert new.grad.tolist() == [0.0, -1.0]
    assert int(loss.clipped) == 1


def test_a_broken_log_ratio_counts_as_none():
    loss = ppo_policy_loss(torch.tensor([-1.0]), torch.tensor([-math.inf]), torch.tensor([2.0]), 0.2, 0.2)
    assert float(loss.total) == pytest.approx(-2.0)


def test_value_loss_takes_the_larger_error():
    # old 0, new 1, return 1: unclipped error 0, clipped value 0.2 has error 0.64
    assert float(value_loss(torch.tensor([1.0]), torch.tensor([0.0]), torch.tensor([1.0]), 0.2)) == pytest.approx(0.32)
    assert float(value_loss(torch.tensor([1.0]), torch.tensor([0.0]), torch.tensor([1.0]), 0)) == 0
