"""A run that stops at any step and goes on from its checkpoint is, bit for bit, the run that never stopped."""

from dataclasses import asdict

import pytest
import torch
from support.ppo_cases import GROUP, VALUE, changed, drawn_batch, ppo_of

from trainer.seqset import SeqSet
from trainer.step.language_models import load_causal_lm
from trainer.weights import checkpoint
from trainer.weights.build_models import hold_in_bfloat16
from trainer.weights.history import LearnerHistory

STEPS = 6
SETTINGS = {
    "value_model_and_reference": changed(
        VALUE,
        warmup_steps=3,
        learning_rate=1e-3,
        value={"pretrain_steps": 2, "clip": 0.2, "learning_rate": 1e-3},
        kl={"apply_to": "loss"},
        objective={"weight": "truncated", "entropy": 0.01, "positive_nll": 0.1, "positive_score": 0.7},
        overlong={"penalty": 0.5, "mask": True},
    ),
    "vtrace_and_head": changed(VALUE, learning_rate=1e-3, value={"kind": "head"}, objective={"weight": "vtrace"}),
    "scores_and_kl_in_bfloat16": changed(
        GROUP,
        learning_rate=1e-3,
        advantage="score",
        normalise="batch",
        param_dtype="bfloat16",
        kl={"apply_to": "reward", "estimator": "k1"},
    ),
}


def built(folder, settings, reference_folder):
    ppo = ppo_of(folder, settings, reference_folder)
    if settings.param_dtype == "float32":
        return ppo
    hold_in_bfloat16(ppo.policy)
    return type(ppo)(ppo.policy, ppo.value, settings, ppo.reference)


def without_seconds(report):
    return {name: value for name, value in asdict(report).items() if name != "seconds"}


@pytest.mark.parametrize("name", SETTINGS)
def test_losses_are_those_of_the_run_that_never_stopped(tiny_policy_folder, tmp_path, name):
    settings = SETTINGS[name]
    sampler = load_causal_lm(tiny_policy_folder)
    batches = [drawn_batch(sampler, seed) for seed in range(STEPS)]
    ppo = built(tiny_policy_folder, settings, tiny_policy_folder)
    expected, saved = [], []
    for version, batch in enumerate(batches):
        history = LearnerHistory(0, version, 0, {}, SeqSet())
        saved.append(checkpoint.save(tmp_path, ppo, history, tiny_policy_folder, keep=STEPS))
        expected.append(without_seconds(ppo.step(batch, version, seed=7)))
    assert len({report["policy_loss"] for report in expected}) >= STEPS - 2
    for start, path in enumerate(saved):
        again = built(tiny_policy_folder, settings, tiny_policy_folder)
        checkpoint.restore(path, again)
        found = [without_seconds(again.step(batches[v], v, seed=7)) for v in range(start, STEPS)]
        assert found == expected[start:]
        for ours, theirs in zip(again.policy.parameters(), ppo.policy.parameters(), strict=True):
            assert torch.equal(ours, theirs)
