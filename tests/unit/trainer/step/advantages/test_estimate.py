"""What a step aims at, against verl's functions (verl_numbers.json, by make_verl_numbers.py) and by hand.

verl divides variances by n - 1 where this learner divides by n: the factors below say so.
"""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from support.objective_cases import LENGTHS, settings_of
from support.trajectories import trajectory

from trainer.step.advantages.estimate import estimate
from trainer.step.batch import pack_batch
from trainer.step.no_grad import NoGradOutputs
from trainer.step.objectives.kl import kl_estimate
from trainer.step.objectives.value import value_error

NUMBERS = {
    name: {key: torch.tensor(each) for key, each in value.items()} if isinstance(value, dict) else torch.tensor(value)
    for name, value in json.loads(Path(__file__).with_name("verl_numbers.json").read_text()).items()
}
TOKENS = sum(LENGTHS)
BY_N = math.sqrt((TOKENS - 1) / TOKENS)
BY_PAIR = math.sqrt(1 / 2)
GAE = {"advantage": "gae", "value": {"kind": "head"}, "gamma": 0.97, "lambda_policy": 0.9, "lambda_value": 0.9}
NO_STD = {"group_std_floor": 0.0, "gamma": 0.97}
KL = {"apply_to": "reward", "estimator": "k1", "coefficient": 0.1}


def batch_of(scores=NUMBERS["scores"]):
    members = [trajectory([1], [2] * n, score=float(s)) for n, s in zip(LENGTHS, scores, strict=True)]
    return pack_batch([members[:2], members[2:]], 1024)


def snapshot_of(proximal=None, values=NUMBERS["values"]) -> NoGradOutputs:
    mask = NUMBERS["mask"]
    return NoGradOutputs(mask, NUMBERS["behaviour"] * mask, proximal, NUMBERS["reference"] * mask, values)


def targets_of(settings, *, kept=(True,) * 4, value_only=False, **no_grad):
    batch = batch_of()
    return estimate(
        batch, NUMBERS["scores"], torch.tensor(kept), snapshot_of(**no_grad), settings, value_only=value_only
    )


@pytest.mark.parametrize(
    ("name", "learner", "kl", "factor"),
    [
        ("gae", GAE, {}, BY_N),
        ("gae_kl_reward", GAE, KL, BY_N),
        ("group", {"advantage": "group", **NO_STD}, {}, BY_PAIR),
        ("centred", {"advantage": "centred", **NO_STD}, {}, 1.0),
        ("rloo", {"advantage": "rloo", **NO_STD}, {}, 1.0),
        ("score_batch", {"advantage": "score", "normalise": "batch", **NO_STD}, {}, BY_N),
        ("score_batch_kl_reward", {"advantage": "score", "normalise": "batch", **NO_STD}, KL, BY_N),
        ("centred_batch", {"advantage": "centred", "normalise": "batch", **NO_STD}, {}, BY_N),
    ],
)
def test_advantages_are_verls(name, learner, kl, factor):
    found = targets_of(settings_of(kl=kl, **learner))
    torch.testing.assert_close(found.advantages_BT * factor, NUMBERS[name], rtol=1e-4, atol=1e-5)
    if f"{name}_returns" in NUMBERS:
        torch.testing.assert_close(found.returns_BT, NUMBERS[f"{name}_returns"], rtol=1e-4, atol=1e-5)


def test_kl_estimates_and_value_loss_are_verls():
    for name, expected in NUMBERS["kl"].items():
        found = kl_estimate(NUMBERS["behaviour"], NUMBERS["reference"], name)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    real = NUMBERS["mask"].bool()
    error = value_error(NUMBERS["new_values"][real], NUMBERS["values"][real], NUMBERS["gae_returns"][real], 0.2)
    torch.testing.assert_close(error.mean(), NUMBERS["value_loss"])


def test_raw_advantages_are_the_scores():
    found = targets_of(settings_of(advantage="score"), values=None)
    torch.testing.assert_close(found.advantages_BT, NUMBERS["scores"][:, None] * NUMBERS["mask"])
    assert (found.returns_BT, found.explained_variance) == (None, None)


def test_only_what_carries_loss_is_whitened_together():
    found = targets_of(settings_of(advantage="score", normalise="batch"), kept=(True, True, False, True), values=None)
    real = (NUMBERS["mask"] * torch.tensor([1, 1, 0, 1])[:, None]).bool()
    assert float(found.advantages_BT[real].mean()) == pytest.approx(0, abs=1e-6)
    assert float(found.advantages_BT[real].var(unbiased=False)) == pytest.approx(1, abs=1e-5)


def test_pre_training_returns_are_monte_carlo():
    """The score at every token, with a discount of 1, whatever the values and lambda_value say."""
    settings = settings_of(**{**GAE, "gamma": 1.0, "lambda_value": 0.0})
    found = targets_of(settings, value_only=True)
    expected = NUMBERS["scores"][:, None] * NUMBERS["mask"]
    torch.testing.assert_close(found.returns_BT, expected, rtol=1e-5, atol=1e-6)


def test_explained_variance_is_of_what_carries_loss():
    values = NUMBERS["scores"][:, None] * NUMBERS["mask"]
    values[2] = 5.0 * NUMBERS["mask"][2]
    settings = settings_of(**{**GAE, "gamma": 1.0, "lambda_value": 1.0})
    assert targets_of(settings, kept=(True, True, False, True), values=values).explained_variance == pytest.approx(1.0)
    assert targets_of(settings, values=values).explained_variance < 0


def test_vtrace_with_the_samplers_own_policy_is_gae():
    settings = settings_of({"weight": "vtrace"}, **GAE)
    same = targets_of(settings, proximal=NUMBERS["behaviour"] * NUMBERS["mask"])
    torch.testing.assert_close(same.advantages_BT * BY_N, NUMBERS["gae"], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(same.returns_BT, NUMBERS["gae_returns"], rtol=1e-4, atol=1e-5)
    other = targets_of(settings, proximal=(NUMBERS["behaviour"] - 1) * NUMBERS["mask"])
    assert not torch.allclose(other.returns_BT, same.returns_BT, atol=1e-2)


def test_gae_without_values_says_what_to_set():
    with pytest.raises(ValueError, match=r"learner\.value\.kind"):
        targets_of(settings_of(**GAE), values=None)


def test_a_group_of_one_response_has_no_leave_one_out():
    batch = pack_batch([[replace(trajectory([1], [2, 3]), score=0.7)]], 64)
    no_grad = NoGradOutputs(torch.ones(1, 2), torch.zeros(1, 2), None, None, None)
    found = estimate(
        batch, torch.tensor([0.7]), torch.tensor([True]), no_grad, settings_of(advantage="rloo"), value_only=False
    )
    assert found.advantages_BT.tolist() == [[0.0, 0.0]]
