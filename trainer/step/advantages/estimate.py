"""Advantages and returns of a step, from rewards, values and the estimator that the settings name.

Shapes: B trajectories, T policy tokens of the longest one; float32, 0 at positions without a token.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from infra.settings.learner import LearnerSettings
from trainer.step.advantages.gae import gae, length_adaptive_lambda, returns_to_go
from trainer.step.advantages.group_baselines import GROUP_ADVANTAGES
from trainer.step.advantages.vtrace import vtrace_advantages, vtrace_errors
from trainer.step.advantages.whitening import whiten
from trainer.step.batch import TrainingBatch
from trainer.step.no_grad import NoGradOutputs
from trainer.step.objectives.kl import kl_estimate
from trainer.step.objectives.ratios import log_ratio


@dataclass(frozen=True, slots=True)
class Targets:
    advantages_BT: Tensor
    returns_BT: Tensor | None
    values_BT: Tensor | None
    """Values before the step. Values and returns are None if there is no value model."""
    explained_variance: float | None
    """Fraction of the returns' variance that the values explain, over tokens that carry loss."""


def estimate(
    batch: TrainingBatch,
    scores_B: Tensor,
    loss_mask_B: Tensor,
    no_grad: NoGradOutputs,
    settings: LearnerSettings,
    *,
    value_only: bool,
) -> Targets:
    """Advantages and returns of a step, from the shaped scores.

    `loss_mask_B` is True for trajectories whose tokens carry loss. With `value_only`, returns are Monte-Carlo returns
    (VC-PPO 2503.01491) and nothing uses the advantages. Raises ValueError if GAE is asked for without values.
    """
    rewards_BT = token_rewards(scores_B, no_grad, settings)
    counted_BT = (no_grad.mask_BT * loss_mask_B[:, None]).bool()
    lam_value = 1.0 if value_only else settings.lambda_value
    returns_BT = _returns(rewards_BT, no_grad, settings, lam_value)
    advantages_BT = _advantages(batch, rewards_BT, no_grad, settings)
    if whitened(settings) and bool(counted_BT.any()):
        advantages_BT[counted_BT] = whiten(advantages_BT[counted_BT])
    explained = None
    if returns_BT is not None and no_grad.values_BT is not None:
        explained = explained_variance(returns_BT[counted_BT], no_grad.values_BT[counted_BT])
    return Targets(advantages_BT, returns_BT, no_grad.values_BT, explained)


def token_rewards(scores_B: Tensor, no_grad: NoGradOutputs, settings: LearnerSettings) -> Tensor:
    """Rewards [B, T]: the score at each trajectory's last policy token.

    With kl.apply_to = "reward", each token's reward is lowered by kl.coefficient times its KL estimate (2203.02155,
    equation 2).
    """
    rewards_BT = torch.zeros_like(no_grad.mask_BT)
    last_B = no_grad.mask_BT.sum(1).long() - 1
    rewards_BT[torch.arange(len(last_B)), last_B] = scores_B
    if settings.kl.apply_to == "reward" and no_grad.reference_BT is not None:
        assert no_grad.behaviour_BT is not None
        kl_BT = kl_estimate(no_grad.behaviour_BT, no_grad.reference_BT, settings.kl.estimator)
        rewards_BT -= settings.kl.coefficient * kl_BT * no_grad.mask_BT
    return rewards_BT


def whitened(settings: LearnerSettings) -> bool:
    return settings.normalise == "batch" or (settings.normalise == "auto" and settings.advantage == "gae")


def explained_variance(returns_N: Tensor, values_N: Tensor) -> float:
    """1 - Var(R - V) / Var(R); 0 if all returns are equal."""
    if not len(returns_N):
        return 0.0
    spread = float(returns_N.var(unbiased=False))
    return 1 - float((returns_N - values_N).var(unbiased=False)) / spread if spread > 0 else 0.0


def _advantages(batch: TrainingBatch, rewards_BT: Tensor, no_grad: NoGradOutputs, settings: LearnerSettings) -> Tensor:
    if settings.advantage == "gae":
        return _value_advantages(rewards_BT, no_grad, settings)
    if settings.advantage == "score":
        return returns_to_go(rewards_BT, no_grad.mask_BT, settings.gamma)
    of_group = GROUP_ADVANTAGES[settings.advantage]
    flat_B = torch.zeros(len(rewards_BT))
    totals_B = rewards_BT.sum(1)
    for members in batch.groups:
        flat_B[members] = torch.tensor(of_group(totals_B[members].tolist(), settings.group_std_floor))
    return flat_B[:, None] * no_grad.mask_BT


def _value_advantages(rewards_BT: Tensor, no_grad: NoGradOutputs, settings: LearnerSettings) -> Tensor:
    values_BT, mask_BT = no_grad.values_BT, no_grad.mask_BT
    if values_BT is None:
        raise ValueError("learner.advantage = 'gae' needs a value model: set learner.value.kind to 'model' or 'head'")
    lam_B: Tensor | float = settings.lambda_policy
    if settings.lambda_alpha > 0:
        lam_B = length_adaptive_lambda([int(n) for n in mask_BT.sum(1)], settings.lambda_alpha)
    ratios_BT = _ratios(no_grad, settings)
    if ratios_BT is None:
        return gae(rewards_BT, values_BT, mask_BT, settings.gamma, lam_B)
    errors_BT = vtrace_errors(rewards_BT, values_BT, ratios_BT, mask_BT, gamma=settings.gamma, lam_B=lam_B)
    return vtrace_advantages(rewards_BT, values_BT, errors_BT, mask_BT, gamma=settings.gamma, lam_B=lam_B)


def _returns(rewards_BT: Tensor, no_grad: NoGradOutputs, settings: LearnerSettings, lam: float) -> Tensor | None:
    """Lambda-returns, or V-trace's value targets if the settings ask for V-trace; None without values."""
    values_BT, mask_BT = no_grad.values_BT, no_grad.mask_BT
    if values_BT is None:
        return None
    ratios_BT = _ratios(no_grad, settings)
    if ratios_BT is None:
        return values_BT + gae(rewards_BT, values_BT, mask_BT, settings.gamma, lam)
    return values_BT + vtrace_errors(rewards_BT, values_BT, ratios_BT, mask_BT, gamma=settings.gamma, lam_B=lam)


def _ratios(no_grad: NoGradOutputs, settings: LearnerSettings) -> Tensor | None:
    """p_proximal / p_behaviour [B, T] for V-trace; None without V-trace, and in value pre-training."""
    if settings.objective.weight != "vtrace" or no_grad.proximal_BT is None:
        return None
    assert no_grad.behaviour_BT is not None
    return log_ratio(no_grad.proximal_BT, no_grad.behaviour_BT).exp()
