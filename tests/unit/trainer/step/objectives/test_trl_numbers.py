"""Losses and gradients against TRL's trainer; trl_numbers.json was written by make_trl_numbers.py."""

import json
from pathlib import Path

import pytest
import torch
from support.objective_cases import LENGTHS, row_of, settings_of

from trainer.step.objectives.averaging import Counts, coefficients
from trainer.step.objectives.policy import Tokens, policy_loss
from trainer.step.shaping import overlong_penalty

NUMBERS = json.loads(Path(__file__).with_name("trl_numbers.json").read_text())
AVERAGES = {"grpo": "sequence", "dapo": "token", "dr_grpo": "constant"}


def settings_for(options):
    objective = {"average": AVERAGES[options["loss_type"]], "ratio": options.get("importance_sampling_level", "token")}
    if options["loss_type"] == "dr_grpo":
        objective["average_tokens"] = 8
    if "truncate" in options:
        objective |= {"weight": "truncated", "weight_cap": options["truncate"]}
    if "entropy_coef" in options:
        objective["entropy"] = options["entropy_coef"]
    if "delta" in options:
        objective["dual_clip"] = options["delta"]
    kl = {}
    if "beta" in options:
        kl = {"apply_to": "loss", "coefficient": options["beta"]}
        kl["importance_weighted"] = options.get("bias_correction", False)
    return settings_of(
        objective, kl, clip_low=options.get("epsilon_low", 0.2), clip_high=options.get("epsilon_high", 0.2)
    )


@pytest.mark.parametrize("name", NUMBERS["cases"])
def test_loss_and_gradient_are_trls(name):
    case = NUMBERS["cases"][name]
    settings = settings_for(case["options"])
    mask_BT = torch.tensor(case["mask"]).bool()
    row, loss_mask_B = row_of(), torch.ones(4, dtype=torch.bool)
    flat = {field: torch.tensor(case[field])[mask_BT] for field in ("logprobs", "proximal", "reference", "entropy")}
    behaviour_N = torch.tensor(case["behaviour"])[mask_BT] if "truncate" in case["options"] else flat["proximal"]
    logprobs_N = flat["logprobs"].requires_grad_()
    objective = settings.objective
    counts = Counts.of(LENGTHS, loss_mask_B.tolist())
    tokens = Tokens(
        logprobs_N=logprobs_N,
        entropy_N=flat["entropy"],
        behaviour_N=behaviour_N,
        proximal_N=flat["proximal"],
        reference_N=flat["reference"] if "beta" in case["options"] else None,
        advantages_N=torch.tensor(case["advantages"])[row.trajectory_N],
        coefficients_N=coefficients(row, loss_mask_B, counts, objective.average, objective.average_tokens),
        positive_N=torch.zeros_like(logprobs_N),
        trajectory_N=row.trajectory_N,
    )
    found = policy_loss(tokens, settings).total
    found.backward()
    assert float(found.detach()) == pytest.approx(case["loss"], rel=1e-5, abs=1e-6)
    torch.testing.assert_close(logprobs_N.grad, torch.tensor(case["gradient"])[mask_BT], rtol=1e-4, atol=1e-6)


def test_overlong_penalty_is_trls():
    for length, penalty in NUMBERS["soft_overlong"]:
        assert overlong_penalty(length, 20, 0.2) == pytest.approx(penalty)
