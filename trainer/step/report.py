"""The report of one step, and the sums over its rows from which the report's means are made.

Invariant: means are over the tokens that carried loss in updates that were applied. A skipped update changes only the
list of skipped updates.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True, slots=True)
class SkippedUpdate:
    """An optimizer step that was not taken because a gradient was not finite."""

    minibatch: int
    groups: tuple[int, ...]
    """Indices of its groups in the batch."""
    policy_gradient_norm: float
    value_gradient_norm: float


@dataclass(slots=True)
class StepReport:
    """Means over the step's target tokens, and seconds by phase. The means are 0 if every update was skipped."""

    policy_loss: float = 0.0
    """The clipped surrogate, without the other terms of the loss."""
    value_loss: float = 0.0
    nll_loss: float = 0.0
    """Negative log-likelihood of positive responses, before its coefficient."""
    kl: float = 0.0
    """Estimated KL divergence to the reference, before its coefficient."""
    entropy: float = 0.0
    clip_fraction: float = 0.0
    ratio: float = 0.0
    importance_weight: float = 0.0
    """p_proximal / p_behaviour, before truncation."""
    importance_clip_fraction: float = 0.0
    """Fraction of tokens whose importance weight was truncated or rejected."""
    policy_gradient_norm: float = 0.0
    value_gradient_norm: float = 0.0
    logprob_diff_mean: float | None = None
    """|learner - engine|, over responses that the version at the start of the step sampled whole, before any update;
    None if there is no such response."""
    logprob_diff_max: float | None = None
    explained_variance: float | None = None
    shaped_reward: float = 0.0
    """Mean over trajectories of the rewards after shaping."""
    masked_fraction: float = 0.0
    """Fraction of trajectories that carry no loss because the token limit cut them off."""
    value_only: bool = False
    """True in value pre-training, when the policy does not change."""
    targets: int = 0
    tokens: int = 0
    skipped: list[SkippedUpdate] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)


class MetricSums:
    """Adds up the metrics of a step's mini-batches."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = defaultdict(float)
        self._tokens = 0
        self._updates = 0

    def add(self, sums: Mapping[str, Tensor], tokens: int, norms: Mapping[str, float]) -> None:
        """Adds one applied update: sums over its tokens, and gradient norms before clipping."""
        for name, value in sums.items():
            self._sums[name] += float(value)
        for name, norm in norms.items():
            self._sums[name] += norm
        self._tokens += tokens
        self._updates += 1

    def write_means(self, report: StepReport) -> None:
        """Writes means per token, and of the norms per update, into the report's fields."""
        for name, value in self._sums.items():
            count = self._updates if name.endswith("_norm") else self._tokens
            setattr(report, name, value / max(count, 1))
