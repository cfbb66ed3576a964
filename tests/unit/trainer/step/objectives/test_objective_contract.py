"""What the policy loss keeps under every option of its settings. A new value of an option is tested here by itself."""

from dataclasses import replace
from itertools import product
from typing import get_args

import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from support.objective_cases import drawn_tokens, settings_of

from infra.settings.objective import ObjectiveSettings
from trainer.step.objectives.policy import policy_loss

seeds = st.integers(0, 10_000)


def _values(option):
    return get_args(ObjectiveSettings.model_fields[option].annotation)


def _valid():
    """Every combination of ratio, weight and average that the settings accept."""
    for ratio, weight, average in product(_values("ratio"), _values("weight"), _values("average")):
        try:
            yield settings_of(
                {
                    "ratio": ratio,
                    "weight": weight,
                    "average": average,
                    "average_tokens": 8 if average == "constant" else 0,
                },
                advantage="gae" if weight == "vtrace" else "group",
                **({"value": {"kind": "head"}} if weight == "vtrace" else {}),
            )
        except ValueError:
            continue


OBJECTIVES = list(_valid())
every_objective = pytest.mark.parametrize(
    "settings", OBJECTIVES, ids=lambda s: f"{s.objective.ratio}-{s.objective.weight}-{s.objective.average}"
)


def _gradient(tokens, settings):
    (gradient_N,) = torch.autograd.grad(policy_loss(tokens, settings).total, tokens.logprobs_N)
    return gradient_N


def _by_trajectory(values_N, tokens):
    return torch.zeros(int(tokens.trajectory_N.max()) + 1).index_add(0, tokens.trajectory_N, values_N)


def test_each_option_is_covered():
    covered = {(s.objective.ratio, s.objective.weight, s.objective.average) for s in OBJECTIVES}
    assert {ratio for ratio, _, _ in covered} == set(_values("ratio"))
    assert {weight for _, weight, _ in covered} == set(_values("weight"))
    assert {average for _, _, average in covered} == set(_values("average"))


@every_objective
@given(seeds)
@examples(max_examples=20)
def test_on_policy_it_is_the_policy_gradient(settings, seed):
    """For the policy that sampled, the gradient of a trajectory's log-probability is -sum of c A (Sutton 1999)."""
    tokens = drawn_tokens(seed, settings)
    own_N = tokens.logprobs_N.detach()
    tokens = replace(tokens, proximal_N=own_N, behaviour_N=own_N)
    expected_N = -tokens.coefficients_N * tokens.advantages_N
    found_B, expected_B = (_by_trajectory(v, tokens) for v in (_gradient(tokens, settings), expected_N))
    torch.testing.assert_close(found_B, expected_B, rtol=1e-4, atol=1e-5)


@every_objective
@given(seeds)
@examples(max_examples=20)
def test_without_advantage_nothing_moves(settings, seed):
    tokens = drawn_tokens(seed, settings)
    tokens = replace(tokens, advantages_N=torch.zeros_like(tokens.advantages_N))
    assert not _gradient(tokens, settings).any()


@every_objective
@given(seeds)
@examples(max_examples=20)
def test_a_response_without_loss_moves_nothing(settings, seed):
    tokens = drawn_tokens(seed, settings, kept=(True, False, True, False))
    assert not _by_trajectory(_gradient(tokens, settings).abs(), tokens)[[1, 3]].any()


@every_objective
@pytest.mark.parametrize("distance", [-40.0, 40.0])
def test_distant_policies_give_finite_numbers(settings, distance):
    tokens = drawn_tokens(0, settings)
    tokens = replace(tokens, behaviour_N=tokens.proximal_N - distance)
    loss = policy_loss(tokens, settings)
    assert loss.total.isfinite()
    assert _gradient(tokens, settings).isfinite().all()
