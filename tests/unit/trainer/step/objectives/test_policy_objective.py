"""Every option of the policy's loss against a plain float64 loop over tokens, with the gradient by differences."""

import math
from itertools import product

import pytest
import torch
from support.objective_cases import LENGTHS, drawn_tokens, settings_of

from trainer.step.objectives.policy import policy_loss

KEPT = (True, True, False, True)
GOOD = (True, False, True, False)


def by_definition(tokens, settings, kept=(True,) * 4, good=(False,) * 4):
    """The loss of `trainer.step.objectives.policy`, written out from the papers, token by token in float64."""
    objective = settings.objective
    columns = [
        column.detach().double().tolist()
        for column in (
            tokens.logprobs_N,
            tokens.proximal_N,
            tokens.behaviour_N,
            tokens.reference_N,
            tokens.entropy_N,
            tokens.advantages_N,
        )
    ]
    rows = list(zip(*columns, tokens.trajectory_N.tolist(), strict=True))
    token_count = sum(length for length, keep in zip(LENGTHS, kept, strict=True) if keep)
    good_count = sum(length for length, keep, fine in zip(LENGTHS, kept, good, strict=True) if keep and fine)
    total = 0.0
    for logp, prox, behave, ref, entropy, advantage, owner in rows:
        if not kept[owner]:
            continue
        own = [r for r in rows if r[6] == owner]
        if objective.ratio == "token":
            ratio, weight = math.exp(logp - prox), math.exp(prox - behave)
        else:
            ratio = math.exp(sum(r[0] - r[1] for r in own) / len(own))
            weight = math.exp(sum(r[1] - r[2] for r in own) / len(own))
        if objective.weight == "truncated":
            weight = min(weight, objective.weight_cap)
        elif objective.weight == "icepop":
            weight = weight if objective.weight_low <= weight <= objective.weight_high else 0.0
        elif objective.weight == "vtrace":
            weight = min(weight, 1.0)
        bounded = min(max(ratio, 1 - settings.clip_low), 1 + settings.clip_high)
        gain = min(ratio * advantage, bounded * advantage)
        if objective.dual_clip and advantage < 0:
            gain = max(gain, objective.dual_clip * advantage)
        share = {
            "token": 1 / token_count,
            "sequence": 1 / (sum(kept) * len(own)),
            "constant": 1 / (sum(kept) * (objective.average_tokens or 1)),
        }[objective.average]
        d = logp - ref
        kl = {"k1": d, "k2": d * d / 2, "k3": math.exp(-d) - 1 + d}[settings.kl.estimator]
        if settings.kl.importance_weighted:
            kl *= math.exp(logp - behave)
        kl_weight = settings.kl.coefficient if settings.kl.apply_to == "loss" else 0.0
        total += share * (-weight * gain + kl_weight * kl - objective.entropy * entropy)
        if good[owner]:
            total -= objective.positive_nll * logp / good_count
    return total


OPTIONS = {
    "decoupled": {},
    "clip_higher": {"clip_low": 0.1, "clip_high": 0.5},
    "dual_clip": {"objective": {"dual_clip": 1.4}},
    "truncated": {"objective": {"weight": "truncated", "weight_cap": 1.2}},
    "icepop": {"objective": {"weight": "icepop"}},
    "vtrace": {"objective": {"weight": "vtrace"}, "advantage": "gae", "value": {"kind": "head"}},
    "sequence_ratio": {"objective": {"ratio": "sequence", "average": "sequence"}, "clip_low": 0.03, "clip_high": 0.04},
    "sequence_average": {"objective": {"average": "sequence"}},
    "constant_average": {"objective": {"average": "constant", "average_tokens": 9}},
    "kl_k2": {"kl": {"apply_to": "loss", "estimator": "k2", "coefficient": 0.3}},
    "kl_k3": {"kl": {"apply_to": "loss", "estimator": "k3", "coefficient": 0.3}},
    "kl_k1_weighted": {
        "kl": {"apply_to": "loss", "estimator": "k1", "coefficient": 0.3, "importance_weighted": True}
    },
    "kl_k3_weighted": {
        "kl": {"apply_to": "loss", "estimator": "k3", "coefficient": 0.3, "importance_weighted": True}
    },
    "entropy": {"objective": {"entropy": 0.1}},
    "positive_nll": {"objective": {"positive_nll": 0.5}},
    "all_at_once": {
        "objective": {"weight": "truncated", "dual_clip": 2.0, "entropy": 0.02, "positive_nll": 0.1},
        "kl": {"apply_to": "loss"},
    },
}  # fmt: skip


@pytest.mark.parametrize(("name", "seed"), product(OPTIONS, range(3)))
def test_loss_equals_its_definition(name, seed):
    settings = settings_of(**OPTIONS[name])
    for kept in ((True,) * 4, KEPT):
        tokens = drawn_tokens(seed, settings, kept, GOOD)
        found = float(policy_loss(tokens, settings).total.detach())
        assert found == pytest.approx(by_definition(tokens, settings, kept, GOOD), rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("name", OPTIONS)
def test_gradient_is_the_definitions(name):
    """Central differences of the float64 loop, whose weights and old probabilities are constants as in the loss."""
    settings = settings_of(**OPTIONS[name])
    tokens = drawn_tokens(5, settings, KEPT, GOOD)
    policy_loss(tokens, settings).total.backward()
    step = 1e-5
    for index in range(len(tokens.logprobs_N)):
        moved = []
        for sign in (1, -1):
            shifted = tokens.logprobs_N.detach().double()
            shifted[index] += sign * step
            changed = type(tokens)(**{**fields(tokens), "logprobs_N": shifted})
            moved.append(by_definition(changed, settings, KEPT, GOOD))
        expected = (moved[0] - moved[1]) / (2 * step)
        assert float(tokens.logprobs_N.grad[index]) == pytest.approx(expected, rel=1e-3, abs=1e-4)


def fields(tokens):
    return {name: getattr(tokens, name) for name in type(tokens).__dataclass_fields__}


def test_behaviour_alone_is_ppo():
    """With the proximal log-probabilities equal to the behaviour's every weight is 1."""
    settings = settings_of()
    tokens = drawn_tokens(0, settings)
    plain = type(tokens)(**{**fields(tokens), "proximal_N": tokens.behaviour_N})
    found = policy_loss(plain, settings)
    ratio_N = (tokens.logprobs_N - tokens.behaviour_N).exp()
    bounded_N = ratio_N.clamp(0.8, 1.28)
    expected = -torch.minimum(ratio_N * tokens.advantages_N, bounded_N * tokens.advantages_N).mean()
    assert float(found.total.detach()) == pytest.approx(float(expected.detach()), rel=1e-5)
    assert int(found.sums["importance_clip_fraction"]) == 0


def test_rejected_tokens_are_counted_in_the_average():
    """Rejection lowers the loss; it does not raise the share of what is left."""
    settings = settings_of(
        {"weight": "icepop", "weight_low": 0.999, "weight_high": 1.001}, clip_low=0.99, clip_high=99.0
    )
    tokens = drawn_tokens(0, settings)
    alone = type(tokens)(**{**fields(tokens), "behaviour_N": far_but_for_the_first(tokens)})
    policy_loss(alone, settings).total.backward()
    ratio = float((tokens.logprobs_N.detach() - tokens.proximal_N).exp()[0])
    expected = -ratio * float(tokens.advantages_N[0]) / sum(LENGTHS)
    assert float(tokens.logprobs_N.grad[0]) == pytest.approx(expected, rel=1e-4)
    assert not tokens.logprobs_N.grad[1:].any()


def far_but_for_the_first(tokens):
    far_N = tokens.proximal_N - 3
    far_N[0] = tokens.proximal_N[0]
    return far_N


def test_a_broken_log_probability_counts_as_none():
    settings = settings_of()
    tokens = drawn_tokens(0, settings)
    broken = tokens.behaviour_N.clone()
    broken[:3] = torch.tensor([-math.inf, math.nan, math.inf])
    found = policy_loss(type(tokens)(**{**fields(tokens), "behaviour_N": broken}), settings)
    assert math.isfinite(float(found.total.detach()))
    repaired = torch.where(broken.isfinite(), broken, tokens.proximal_N)
    same = policy_loss(type(tokens)(**{**fields(tokens), "behaviour_N": repaired}), settings)
    assert float(found.total.detach()) == pytest.approx(float(same.total.detach()))
