"""A concurrent reader of the models is asked before a step changes anything of them."""

import pytest
import torch
from support.ppo_cases import GROUP, VALUE, drawn_batch, ppo_of

from trainer.step.language_models import load_causal_lm
from trainer.weights import checkpoint

pytestmark = pytest.mark.timeout(60)


def tensors_of(ppo):
    """What a checkpoint would write now, copied."""
    return [tensor.clone() for tensor in checkpoint.tensors_of(ppo).values()]


def same(ours, others):
    return len(ours) == len(others) and all(torch.equal(a, b) for a, b in zip(ours, others, strict=True))


@pytest.mark.parametrize("settings", [GROUP, VALUE], ids=["policy", "policy and value model"])
def test_nothing_that_a_checkpoint_holds_changes_before_the_first_call(tiny_policy_folder, settings):
    ppo = ppo_of(tiny_policy_folder, settings)
    sampler = load_causal_lm(tiny_policy_folder)
    ppo.step(drawn_batch(sampler, 0), version=0, seed=1)  # the optimizers have their state
    before, found = tensors_of(ppo), []
    ppo.before_update = lambda: found.append(tensors_of(ppo))
    ppo.step(drawn_batch(sampler, 1), version=1, seed=1)
    assert len(found) == settings.minibatches
    assert same(found[0], before)
    assert not same(found[1], before)
    assert not same(tensors_of(ppo), found[1])
