import json
import random
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from support.ppo_cases import GROUP, VALUE, batch_of, changed, drawn_batch, mean_logprob, ppo_of, with_own_logprobs
from support.trajectories import trajectory

from trainer.step.batch import pack_batch
from trainer.step.language_models import load_causal_lm, policy_forward
from trainer.step.row_plan import split_rows

KINDS = {
    "group": GROUP,
    "value_model": VALUE,
    "value_head": changed(VALUE, value={"kind": "head"}),
    "behaviour": changed(VALUE, objective={"proximal": "behaviour"}),
    "centred": changed(GROUP, advantage="centred"),
    "rloo": changed(GROUP, advantage="rloo"),
    "reinforce_plus_plus": changed(GROUP, advantage="score", normalise="batch"),
    "truncated": changed(GROUP, objective={"weight": "truncated"}),
    "vtrace": changed(VALUE, objective={"weight": "vtrace"}),
    "sequence": changed(GROUP, objective={"ratio": "sequence", "average": "sequence"}),
    "entropy_and_nll": changed(GROUP, objective={"entropy": 0.001, "positive_nll": 0.1}),
    "kl_loss": changed(GROUP, kl={"apply_to": "loss"}),
    "kl_reward": changed(VALUE, kl={"apply_to": "reward", "estimator": "k1"}),
    "length_adaptive": changed(VALUE, lambda_alpha=0.9),
    "one_minibatch": changed(VALUE, minibatches=1),
}


@pytest.mark.parametrize("settings", KINDS.values(), ids=KINDS)
def test_good_answers_become_likelier_and_bad_ones_less(tiny_policy_folder, settings):
    ppo = ppo_of(tiny_policy_folder, settings)
    batch = batch_of(ppo)
    before = mean_logprob(ppo, batch, 1.0), mean_logprob(ppo, batch, 0.0)
    report = ppo.step(batch, version=0, seed=0)
    after = mean_logprob(ppo, batch, 1.0), mean_logprob(ppo, batch, 0.0)
    assert after[0] > before[0]
    assert after[1] < before[1]
    assert report.logprob_diff_max == pytest.approx(0, abs=1e-5)
    assert report.targets == 8


HELD = {"ours": {(1, 0)}, "restored": {(2, 0), (1, 0)}, "theirs": {(2, 0)}, "replay": set()}


@pytest.mark.parametrize("held", HELD.values(), ids=HELD)
def test_engine_and_learner_are_compared_on_tokens_of_the_very_weights_held(tiny_policy_folder, held):
    """A version of an abandoned lineage has the same number and other weights."""
    ppo = ppo_of(tiny_policy_folder, changed(GROUP, minibatches=1))
    off = [
        replace(t, lineages=np.ones(len(t.logprobs), np.int32), logprobs=t.logprobs - np.float32(0.5))
        for t in batch_of(ppo).trajectories
    ]
    report = ppo.step(pack_batch([off[:2], off[2:]], 64, held), version=0, seed=0)
    expected = pytest.approx(0.5, abs=1e-4) if (1, 0) in held else None
    assert report.logprob_diff_mean == expected
    assert report.logprob_diff_max == expected


def test_a_response_that_met_an_update_says_nothing_about_engine_and_learner(tiny_policy_folder):
    """Its later tokens were sampled over keys and values of older weights."""
    ppo = ppo_of(tiny_policy_folder, changed(GROUP, minibatches=1))
    trajectories = batch_of(ppo).trajectories
    whole = [replace(t, versions=np.ones_like(t.versions), logprobs=t.logprobs - np.float32(0.5)) for t in trajectories]
    met = [replace(t, versions=np.arange(len(t.versions)) > 0, logprobs=t.logprobs - np.float32(9)) for t in whole]
    report = ppo.step(pack_batch([[*whole[:1], *met[1:2]], met[2:]], 64), version=1, seed=0)
    assert report.logprob_diff_max == pytest.approx(0.5, abs=1e-4)


def test_values_approach_the_returns(tiny_policy_folder):
    ppo = ppo_of(tiny_policy_folder, VALUE)
    batch = batch_of(ppo)
    reports = [ppo.step(batch, version=version, seed=0) for version in range(12)]
    assert reports[-1].value_loss < 0.5 * reports[0].value_loss
    assert reports[-1].explained_variance > reports[0].explained_variance


def test_the_policy_is_held_while_values_are_pre_trained(tiny_policy_folder):
    """Values of a policy that is held come to predict the returns, and then the policy starts with its own warm-up."""
    ppo = ppo_of(tiny_policy_folder, changed(VALUE, value={"pretrain_steps": 8}, warmup_steps=4))
    batch = batch_of(ppo)
    before = [parameter.clone() for parameter in ppo.policy.parameters()]
    reports = [ppo.step(batch, version=version, seed=0) for version in range(8)]
    assert all(torch.equal(ours, old) for ours, old in zip(ppo.policy.parameters(), before, strict=True))
    assert reports[-1].value_loss < 0.5 * reports[0].value_loss
    assert all(report.value_only and report.policy_loss == 0 for report in reports)
    first = ppo.step(batch, version=8, seed=0)
    assert not first.value_only
    assert first.policy_gradient_norm > 0
    assert ppo.policy_optimizer._adamw.param_groups[0]["lr"] == pytest.approx(1e-2 / 4)


@pytest.mark.parametrize("kind", ["model", "head"])
def test_pre_training_aims_at_monte_carlo_returns(tiny_policy_folder, kind):
    """Lambda is 1 whatever lambda_value says, so that the loss before any update is that of the scores themselves."""
    settings = changed(VALUE, lambda_value=0.0, minibatches=1, value={"kind": kind, "pretrain_steps": 1})
    ppo = ppo_of(tiny_policy_folder, settings)
    report = ppo.step(batch_of(ppo), version=0, seed=0)
    # values start at 0: the mean of (0 - score)^2 / 2 over the 4 tokens of right answers among 8
    assert report.value_loss == pytest.approx(0.5 * 4 / 8)


def test_a_step_is_decoupled_from_who_sampled(tiny_policy_folder):
    """Proximal log-probabilities are those of the policy that the step began with, in every mini-batch."""
    settings = changed(GROUP, minibatches=2, learning_rate=1e-12)
    ppo = ppo_of(tiny_policy_folder, settings)
    report = ppo.step(drawn_batch(ppo.policy, seed=1), version=0, seed=0)
    assert report.ratio == pytest.approx(1.0, abs=1e-6)
    assert report.clip_fraction == 0
    assert report.importance_weight != pytest.approx(1.0, abs=1e-3)
    coupled = ppo_of(tiny_policy_folder, changed(settings, objective={"proximal": "behaviour"}))
    found = coupled.step(drawn_batch(coupled.policy, seed=1), version=0, seed=0)
    assert found.importance_weight == 1.0
    assert found.clip_fraction > 0


def test_a_reference_holds_the_policy_back(tiny_policy_folder):
    """The same steps with a heavy KL loss end nearer to the reference, which itself does not move."""
    distances = {}
    for coefficient in (0.0, 5.0):
        settings = changed(GROUP, learning_rate=1e-3, kl={"apply_to": "loss", "coefficient": coefficient})
        ppo = ppo_of(tiny_policy_folder, settings)
        batch = batch_of(ppo)
        reports = [ppo.step(batch, version=version, seed=0) for version in range(6)]
        distances[coefficient] = reports[-1].kl
        fresh = load_causal_lm(tiny_policy_folder)
        assert all(torch.equal(a, b) for a, b in zip(ppo.reference.parameters(), fresh.parameters(), strict=True))
    assert 0 < distances[5.0] < 0.5 * distances[0.0]


def test_cut_off_answers_carry_no_loss(tiny_policy_folder):
    """A batch with a cut-off answer trains as the batch would in which that answer's tokens are of no group. In
    float64, since Adam's first step is the learning rate for any gradient, also where float32's is rounding alone.
    """
    settings = changed(GROUP, advantage="score", overlong={"mask": True}, minibatches=1)
    cut = trajectory([1, 2, 3], [7, 8, 9], score=0.5)
    cut = replace(cut, cut_off=True)
    one, other = ([trajectory([1, 2, 3], [5, 6], score=1.0)], [trajectory([4], [10], score=0.2)])
    weights = []
    for members in ([[*one, cut], other], [one, other]):
        ppo = ppo_of(tiny_policy_folder, settings)
        ppo.policy.double()
        report = ppo.step(with_own_logprobs(ppo.policy, members), version=0, seed=0)
        weights.append([parameter.detach().clone() for parameter in ppo.policy.parameters()])
        assert report.masked_fraction == pytest.approx(1 / 3 if len(members[0]) == 2 else 0.0)
    for masked, absent in zip(*weights, strict=True):
        torch.testing.assert_close(masked, absent, rtol=0, atol=1e-11)


def test_nothing_to_train_on_changes_nothing(tiny_policy_folder):
    ppo = ppo_of(tiny_policy_folder, changed(GROUP, overlong={"mask": True}))
    before = [parameter.clone() for parameter in ppo.policy.parameters()]
    members = [[replace(trajectory([1], [2, 3]), cut_off=True), replace(trajectory([1], [4]), cut_off=True)]]
    report = ppo.step(with_own_logprobs(ppo.policy, members), version=0, seed=0)
    assert report.masked_fraction == 1.0
    assert all(torch.equal(ours, old) for ours, old in zip(ppo.policy.parameters(), before, strict=True))


def test_dropout_is_off(tiny_policy_folder, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(tiny_policy_folder, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"attention_dropout": 0.5}))
    policy, row = load_causal_lm(folder), pack_batch([[trajectory([1, 2, 3], [5, 6])]], 64).rows[0]
    assert policy.config.attention_dropout == 0.5
    assert torch.equal(policy_forward(policy, row).logprobs_N, policy_forward(policy, row).logprobs_N)


@pytest.mark.parametrize("parts", [1, 2, 3, 9])
def test_mini_batches_hold_every_row_once(parts):
    members = [[trajectory([1], [2] * n)] for n in (3, 9, 4, 4, 7)]
    targets = [len(row.targets_N) for row in pack_batch(members, 2).rows]
    split = split_rows(range(5), targets, parts, random.Random(0))
    assert sorted(targets[number] for part in split for number in part) == [3, 4, 4, 7, 9]
    assert len(split) == min(parts, 5)
    assert all(split)
