"""Settings of the policy's objective: which ratio, which weight, which average, and what is added to it.

Every default is off, or decoupled PPO with a bounded weight; each option names its source.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from infra.settings.section import Fraction, NumberUnit, SettingsSection

Weight = Annotated[float, Field(ge=0), NumberUnit("factor")]
Bound = Annotated[float, Field(gt=0), NumberUnit("ratio")]


class ObjectiveSettings(SettingsSection):
    """The policy's loss: PPO's ratio, the importance weight of old samples, the average over tokens, and bonuses."""

    proximal: Literal["recomputed", "behaviour"] = "recomputed"
    """Denominator of the PPO ratio, the old log-probs. `recomputed`: those of the policy at the start of the step,
    computed before its first update (decoupled PPO, AReaL 2505.24298); a weight then corrects old samples, the clip
    bounds what this step does, and every mini-batch but the first costs one more forward pass. `behaviour`: the
    engine's own log-probs, as in PPO (1707.06347); the clip then bounds the distance to the policy that sampled."""
    ratio: Literal["token", "sequence"] = "token"
    """Level of the PPO ratio. `sequence`: the geometric mean over a response's tokens, the same for each of them (GSPO
    2507.18071); its clip range is some hundred times narrower."""
    weight: Literal["full", "truncated", "icepop", "vtrace"] = "truncated"
    """Importance weight of a token, from w = p_proximal / p_behaviour. `full`: w itself (AReaL 2505.24298).
    `truncated`: min(w, weight_cap) (truncated importance sampling, Ionides 2008), so that one token on which engine and
    learner disagree does not own a step; with proximal = 'behaviour' it is 1. `icepop`: w within [weight_low,
    weight_high], else 0 (IcePop, Ring-1T 2510.18855). `vtrace`: min(w, 1), with V-trace's values and advantages
    (IMPALA 1802.01561, rho = c = 1)."""
    weight_cap: Bound = 2.0
    """Upper bound of a `truncated` weight; 2 is usual in TRL and verl."""
    weight_low: Annotated[float, Field(ge=0), NumberUnit("ratio")] = 0.5
    """Lower end of IcePop's range; 0.5 to 5 is the published one."""
    weight_high: Bound = 5.0
    """Upper end of IcePop's range."""
    dual_clip: Annotated[float, Field(ge=0), NumberUnit("ratio")] = 0.0
    """Upper bound of the ratio if the advantage is negative (dual-clip PPO, 1912.09729, which takes 3); 0 turns it
    off."""
    average: Literal["token", "sequence", "constant"] = "token"
    """Average of the loss over a mini-batch. `token`: each token weighs the same (DAPO 2503.14476). `sequence`: each
    response weighs the same (GRPO 2402.03300). `constant`: the sum over tokens, divided by the number of responses
    times average_tokens, so that no length is favoured (Dr. GRPO 2503.20783)."""
    average_tokens: Annotated[int, Field(ge=0), NumberUnit("tokens")] = 0
    """Divisor of average = 'constant'; usually the longest response that can be sampled."""
    entropy: Weight = 0.0
    """Weight of the entropy bonus, per nat of a token's entropy (PPO 1707.06347). Its gradient costs one more pass over
    the logits."""
    positive_nll: Weight = 0.0
    """Weight of the mean negative log-likelihood of the tokens of good responses (VAPO 2504.05118, which takes 0.1)."""
    positive_score: Fraction = 1.0
    """Lowest score of a good response; 1 is what a verifier gives a correct one."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.weight in {"icepop", "vtrace"} and self.proximal == "behaviour":
            raise ValueError(
                f"objective.weight = '{self.weight}' corrects proximal against behaviour log-probabilities, which are "
                "the same with objective.proximal = 'behaviour': set proximal to 'recomputed', or weight to 'truncated'"
            )
        if self.weight == "vtrace" and self.ratio == "sequence":
            raise ValueError("objective.weight = 'vtrace' weighs tokens: it needs objective.ratio = 'token'")
        if self.weight_low >= self.weight_high:
            raise ValueError("objective.weight_low must be below weight_high, else every token is rejected")
        if 0 < self.dual_clip <= 1:
            raise ValueError("objective.dual_clip bounds ratios above 1: give more than 1, such as 3, or 0 for none")
        if (self.average == "constant") != (self.average_tokens > 0):
            raise ValueError("objective.average = 'constant' and objective.average_tokens > 0 need each other")
        return self


class KLSettings(SettingsSection):
    """Distance to a frozen reference policy. It holds one more model, 4 bytes per parameter, and runs it forward once
    per step.
    """

    apply_to: Literal["none", "loss", "reward"] = "none"
    """Place of the KL term. `none`: there is no reference model (DAPO 2503.14476). `loss`: it is added to the loss
    (GRPO 2402.03300). `reward`: it is taken from each token's reward, as in PPO on human feedback (2203.02155)."""
    estimator: Literal["k1", "k2", "k3"] = "k3"
    """Estimator of the KL divergence from one sample, with d = log p - log p_ref (Schulman 2020,
    joschu.net/blog/kl-approx.html): k1 = d; k2 = d^2 / 2; k3 = exp(-d) - 1 + d, which GRPO uses."""
    coefficient: Weight = 0.001
    """Weight of the KL term, per nat. 0.001 is usual in verl and OpenRLHF; GRPO's paper has 0.04."""
    importance_weighted: bool = False
    """Whether each token's term is multiplied by p / p_behaviour, with its gradient. The gradient is then that of the
    divergence itself, also on samples of an older policy (DeepSeek-V3.2, 2512.02556). For apply_to = 'loss'."""
    reference: str = ""
    """Folder of the reference model, which needs the policy's tokenizer; empty means the policy that the run starts
    from."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.apply_to == "loss" and self.estimator == "k1" and not self.importance_weighted:
            raise ValueError(
                "kl.estimator = 'k1' as a loss has a gradient of zero on average: set kl.importance_weighted = true, "
                "take k2 or k3, or kl.apply_to = 'reward'"
            )
        if self.apply_to == "reward" and self.importance_weighted:
            raise ValueError(
                "kl.importance_weighted changes a gradient, and a reward has none: it needs kl.apply_to = 'loss'"
            )
        return self


class OverlongSettings(SettingsSection):
    """Responses near or at their token limit (DAPO 2503.14476, section 3.4). The raw score is what is logged, measured
    and filtered by; shaping changes only what the learner aims at.
    """

    penalty: Annotated[float, Field(ge=0), NumberUnit("score")] = 0.0
    """Taken from the score of a response at its limit; it grows linearly over the last penalty_share of the limit. DAPO
    has 1, for scores of -1 and 1. 0 turns it off."""
    penalty_share: Annotated[float, Field(gt=0, le=1), NumberUnit("fraction")] = 0.2
    """Fraction of the token limit over which the penalty grows; DAPO: 4,096 of 20,480 tokens."""
    mask: bool = False
    """Whether a response that the limit cut off carries no loss: what it would have been worth is not known. A group of
    nothing else is filtered."""


class DivergenceGuardSettings(SettingsSection):
    """An update whose gradient is not finite is skipped, and its groups close as failed."""

    skips_in_a_row: Annotated[int, Field(ge=1), NumberUnit("updates")] = 3
    """Consecutive skipped updates that end the run: one can be a bad sample, three are a broken model."""
    keep_batches: Annotated[int, Field(ge=0), NumberUnit("batches")] = 5
    """Skipped batches to keep, the first ones, as folders under bad-batches/ of the run; later ones are mostly the
    consequence of the first."""
