"""Tokens of one response that several versions made."""

from dataclasses import replace

import pytest
import torch
from support.ppo_cases import GROUP, changed, ppo_of
from support.tiny_model import save_tiny_model
from support.trajectories import trajectory

from trainer.step.batch import pack_batch
from trainer.step.language_models import load_causal_lm, policy_forward


def test_a_tokens_weight_is_to_the_version_that_made_it(tiny_policy_folder, tmp_path):
    """A response that one policy began and another continued: each token against its own maker."""
    ppo = ppo_of(tiny_policy_folder, changed(GROUP, minibatches=1))
    makers = [load_causal_lm(save_tiny_model(tmp_path / str(seed), seed=seed)) for seed in (1, 2)]
    members = [[trajectory([1, 2, 3], [5, 6, 7, 8], score=1.0), trajectory([1, 2, 3], [9, 10, 11, 12], score=0.0)]]
    row = pack_batch(members, 64).rows[0]
    with torch.no_grad():
        first, second, own = (policy_forward(model, row).logprobs_N for model in (*makers, ppo.policy))
    behaviour = torch.where(row.step_N < 2, first, second)
    made = [
        replace(t, logprobs=tuple(behaviour[4 * i : 4 * i + 4].tolist()), versions=(3, 3, 4, 4))
        for i, t in enumerate(members[0])
    ]
    report = ppo.step(pack_batch([made], 64), version=5, seed=0)
    expected = torch.exp(own.double() - behaviour.double()).mean()
    assert report.importance_weight == pytest.approx(float(expected), rel=1e-4)
