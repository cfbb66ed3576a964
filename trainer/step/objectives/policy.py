"""The policy's loss over the N tokens of one packed row, assembled as the settings say.

With w the importance weight, r the ratio and c the averaging coefficient of a token:
    loss = sum c w surrogate(r, A) + kl.coefficient sum c k - entropy sum c H - positive_nll mean_positive log p
Invariant: all terms are float32, and the sum over a mini-batch's rows is the mini-batch's loss.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from infra.settings.learner import LearnerSettings
from infra.settings.objective import ObjectiveSettings
from trainer.step.objectives import importance
from trainer.step.objectives.clipping import clipped_surrogate
from trainer.step.objectives.kl import importance_weighted, kl_estimate
from trainer.step.objectives.ratios import log_ratio, sequence_mean


@dataclass(frozen=True, slots=True)
class Tokens:
    """Inputs of the loss, all [N]; log-probs are those of the sampled tokens under each policy."""

    logprobs_N: Tensor
    """Under the policy that is trained. Only this and the entropy have gradients."""
    entropy_N: Tensor
    behaviour_N: Tensor
    """The engine's log-probs."""
    proximal_N: Tensor
    """Old log-probs, the denominator of the ratio."""
    reference_N: Tensor | None
    advantages_N: Tensor
    coefficients_N: Tensor
    positive_N: Tensor
    """Coefficients of the positive-example loss; 0 for tokens of other responses."""
    trajectory_N: Tensor


@dataclass(frozen=True, slots=True)
class PolicyLoss:
    total: Tensor
    """Scalar with gradient."""
    averages: dict[str, Tensor]
    """Terms of the loss, before their coefficients in the settings."""
    sums: dict[str, Tensor]
    """Metrics, summed over the tokens that carry loss."""


def policy_loss(tokens: Tokens, settings: LearnerSettings) -> PolicyLoss:
    """The loss of decoupled PPO (AReaL 2505.24298, equation 5), plus the optional terms."""
    objective = settings.objective
    log_ratio_N = log_ratio(tokens.logprobs_N, tokens.proximal_N)
    log_weight_N = log_ratio(tokens.proximal_N, tokens.behaviour_N)
    if objective.ratio == "sequence":
        log_ratio_N = sequence_mean(log_ratio_N, tokens.trajectory_N)
        log_weight_N = sequence_mean(log_weight_N, tokens.trajectory_N)
    ratio_N = log_ratio_N.exp()
    weight_N = importance_weight(log_weight_N, objective)
    surrogate = clipped_surrogate(
        ratio_N, tokens.advantages_N, settings.clip_low, settings.clip_high, objective.dual_clip
    )
    c_N = tokens.coefficients_N
    surrogate_loss = (c_N * weight_N * surrogate.loss_N).sum()
    extra, averages = _optional_terms(tokens, settings)
    counted_N = c_N > 0
    full_N = log_weight_N.exp()
    return PolicyLoss(
        total=surrogate_loss + extra,
        averages={"policy_loss": surrogate_loss.detach(), **averages},
        sums={
            "entropy": tokens.entropy_N.detach()[counted_N].sum(),
            "clip_fraction": surrogate.clipped_N[counted_N].sum(),
            "ratio": ratio_N.detach()[counted_N].sum(),
            "importance_weight": full_N[counted_N].sum(),
            "importance_clip_fraction": (weight_N != full_N)[counted_N].sum(),
        },
    )


def importance_weight(log_weight_N: Tensor, settings: ObjectiveSettings) -> Tensor:
    """The importance weight that the settings name, [N], without gradient."""
    match settings.weight:
        case "truncated":
            return importance.truncated(log_weight_N, settings.weight_cap)
        case "icepop":
            return importance.within(log_weight_N, settings.weight_low, settings.weight_high)
        case "vtrace":
            return importance.truncated(log_weight_N, 1.0)
        case _:
            return importance.full(log_weight_N)


def _optional_terms(tokens: Tokens, settings: LearnerSettings) -> tuple[Tensor, dict[str, Tensor]]:
    """The sum of the terms that are added to the surrogate, and each term's average."""
    total = torch.zeros(())
    averages: dict[str, Tensor] = {}
    if tokens.reference_N is not None:
        kl_N = kl_estimate(tokens.logprobs_N, tokens.reference_N, settings.kl.estimator)
        averages["kl"] = (tokens.coefficients_N * kl_N.detach()).sum()
        if settings.kl.apply_to == "loss":
            if settings.kl.importance_weighted:
                kl_N = importance_weighted(kl_N, tokens.logprobs_N, tokens.behaviour_N)
            total = total + settings.kl.coefficient * (tokens.coefficients_N * kl_N).sum()
    if settings.objective.entropy > 0:
        total = total - settings.objective.entropy * (tokens.coefficients_N * tokens.entropy_N).sum()
    if settings.objective.positive_nll > 0:
        nll = -(tokens.positive_N * tokens.logprobs_N).sum()  # VAPO 2504.05118, equation 11
        averages["nll_loss"] = nll.detach()
        total = total + settings.objective.positive_nll * nll
    return total, averages
