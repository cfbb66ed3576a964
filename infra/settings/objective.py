"""Settings of the policy's objective: which ratio, which weight, which average, and what is added to it.

Every default is off, or plain decoupled PPO; each option names its source.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from infra.settings.section import Section, Share

Weight = Annotated[float, Field(ge=0)]


class ObjectiveSettings(Section):
    proximal: Literal["recomputed", "behaviour"] = "recomputed"
    """What the ratio is taken to. `recomputed`: the policy as the step found it, whose log-probabilities are computed
    before the first update (decoupled PPO, AReaL 2505.24298): old samples are corrected by a weight and the clip bounds
    what this step does. It costs a forward pass of all mini-batches but the first. `behaviour`: the engine's own
    log-probabilities, as in PPO (1707.06347), where the clip bounds the distance to whoever sampled."""
    ratio: Literal["token", "sequence"] = "token"
    """`sequence`: the geometric mean over a response's tokens, the same for each of them (GSPO 2507.18071); its clip
    range is some hundred times narrower."""
    weight: Literal["full", "truncated", "icepop", "vtrace"] = "full"
    """Of a token, from w = proximal / behaviour. `full`: w itself (AReaL 2505.24298). `truncated`: min(w, weight_cap)
    (truncated importance sampling, Ionides 2008). `icepop`: w within [weight_low, weight_high], else 0 (IcePop, Ring-1T
    2510.18855). `vtrace`: min(w, 1), and values and advantages are V-trace's too (IMPALA 1802.01561, rho = c = 1)."""
    weight_cap: Annotated[float, Field(gt=0)] = 2.0
    """TRL's and verl's usual cap."""
    weight_low: Weight = 0.5
    weight_high: Annotated[float, Field(gt=0)] = 5.0
    """IcePop's published range."""
    dual_clip: Weight = 0.0
    """Bound of the ratio where the advantage is negative (dual-clip PPO, 1912.09729), 3 there; 0 turns it off."""
    average: Literal["token", "sequence", "constant"] = "token"
    """`token`: each token of a mini-batch weighs the same (DAPO 2503.14476). `sequence`: each response does (GRPO
    2402.03300). `constant`: each token, divided by responses times average_tokens, so that no length is favoured
    (Dr. GRPO 2503.20783)."""
    average_tokens: Annotated[int, Field(ge=0)] = 0
    """Of `constant`; the longest response that is sampled is usual."""
    entropy: Weight = 0.0
    """Bonus for each nat of a token's entropy (PPO 1707.06347). Its gradient costs one more pass over the logits."""
    positive_nll: Weight = 0.0
    """Weight of the mean negative log-likelihood of good responses' tokens (VAPO 2504.05118, 0.1 there)."""
    positive_score: Share = 1.0
    """A response is good from this score on; 1 is what a verifier calls correct."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.weight != "full" and self.proximal == "behaviour":
            raise ValueError(
                f"objective.weight = '{self.weight}' corrects proximal against behaviour log-probabilities, which are "
                "the same with objective.proximal = 'behaviour': set proximal to 'recomputed', or weight to 'full'"
            )
        if self.weight == "vtrace" and self.ratio == "sequence":
            raise ValueError("objective.weight = 'vtrace' weighs tokens: it needs objective.ratio = 'token'")
        if self.weight_low >= self.weight_high:
            raise ValueError("objective.weight_low must be below weight_high, else every token is rejected")
        if 0 < self.dual_clip <= 1:
            raise ValueError("objective.dual_clip bounds ratios above 1: give more than 1, as 3, or 0 for none")
        if (self.average == "constant") != (self.average_tokens > 0):
            raise ValueError("objective.average = 'constant' and objective.average_tokens > 0 need each other")
        return self


class KLSettings(Section):
    """Distance to a frozen reference policy. It holds one more model, 4 bytes a parameter, and runs it forward once a
    step.
    """

    apply_to: Literal["none", "loss", "reward"] = "none"
    """DAPO (2503.14476) trains without. `loss` as in GRPO (2402.03300); `reward` takes it from each token's reward, as
    PPO on human feedback did (2203.02155)."""
    estimator: Literal["k1", "k2", "k3"] = "k3"
    """Of one sample, with d = log p - log p_ref (Schulman 2020, joschu.net/blog/kl-approx.html): k1 = d; k2 = d^2 / 2;
    k3 = exp(-d) - 1 + d, which GRPO takes."""
    coefficient: Weight = 0.001
    """verl's and OpenRLHF's usual value; GRPO's paper has 0.04."""
    importance_weighted: bool = False
    """Each token's term times p / p_behaviour, with its gradient: then the gradient is that of the divergence itself,
    also on samples of an older policy (DeepSeek-V3.2, 2512.02556). For `loss`."""
    reference: str = ""
    """A model folder with the policy's tokenizer; empty means the policy that the run starts from."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.apply_to == "loss" and self.estimator == "k1" and not self.importance_weighted:
            raise ValueError(
                "kl.estimator = 'k1' as a loss has a gradient of zero on average: set kl.importance_weighted = true, "
                "take k2 or k3, or kl.apply_to = 'reward'"
            )
        if self.apply_to == "reward" and self.importance_weighted:
            raise ValueError(
                "kl.importance_weighted changes a gradient, which a reward has not: it needs apply_to = 'loss'"
            )
        return self


class OverlongSettings(Section):
    """Responses near or at their token limit (DAPO 2503.14476, section 3.4). The raw score is what is logged, measured
    and filtered by; shaping changes only what the learner aims at.
    """

    penalty: Weight = 0.0
    """Taken from the score at the limit, growing linearly over the last penalty_share of it; DAPO has 1, for scores of
    -1 and 1. 0 turns it off."""
    penalty_share: Annotated[float, Field(gt=0, le=1)] = 0.2
    """DAPO: 4,096 of 20,480 tokens."""
    mask: bool = False
    """A response that the limit cut off carries no loss: what it was worth is not known. A group of nothing else is
    filtered."""


class DivergenceGuardSettings(Section):
    """What happens to an update whose gradient is not finite: it is skipped, and its groups close as failed."""

    skips_in_a_row: Annotated[int, Field(ge=1)] = 3
    """The run ends at so many: one can be a bad sample, three are a broken model."""
    keep_batches: Annotated[int, Field(ge=0)] = 5
    """Folders under bad-batches/ of the run, the first ones: what comes later is mostly their consequence."""
