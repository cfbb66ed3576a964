"""What one step says of itself, and how its rows' measures add up to it.

Invariant: means are over the tokens that carried loss in updates that were applied; an update that was skipped leaves
no trace in them but its count.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True, slots=True)
class SkippedUpdate:
    """An optimizer step that was not taken, because a gradient was not finite."""

    minibatch: int
    groups: tuple[int, ...]
    """Indices into the batch."""
    policy_gradient_norm: float
    value_gradient_norm: float


@dataclass(slots=True)
class StepReport:
    """Means over the step's target tokens, and seconds by phase. All are 0 where every update was skipped."""

    policy_loss: float = 0.0
    """The surrogate's part."""
    value_loss: float = 0.0
    nll_loss: float = 0.0
    """Of good responses, before its weight."""
    kl: float = 0.0
    """Estimate to the reference, before its coefficient."""
    entropy: float = 0.0
    clip_fraction: float = 0.0
    ratio: float = 0.0
    importance_weight: float = 0.0
    """p_proximal / p_behaviour before truncation."""
    importance_clip_fraction: float = 0.0
    """Tokens whose importance weight was truncated or rejected."""
    policy_gradient_norm: float = 0.0
    value_gradient_norm: float = 0.0
    logprob_diff_mean: float | None = None
    """Engine against learner, over tokens of the held version, before any update; None where there is none."""
    logprob_diff_max: float | None = None
    explained_variance: float | None = None
    shaped_reward: float = 0.0
    """Mean over trajectories of what the step aimed at."""
    masked_fraction: float = 0.0
    """Trajectories that carry no loss, because the limit cut them off."""
    value_only: bool = False
    """The policy was held: a step of value pre-training."""
    targets: int = 0
    tokens: int = 0
    skipped: list[SkippedUpdate] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)


class MetricSums:
    """Adds up mini-batches; tensors stay where they are until `write_means` asks for numbers."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = defaultdict(float)
        self._tokens = 0
        self._updates = 0

    def add(self, sums: Mapping[str, Tensor], tokens: int, norms: Mapping[str, float]) -> None:
        """One applied update: sums over its tokens, and gradient norms before clipping."""
        for name, value in sums.items():
            self._sums[name] += float(value)
        for name, norm in norms.items():
            self._sums[name] += norm
        self._tokens += tokens
        self._updates += 1

    def write_means(self, report: StepReport) -> None:
        for name, value in self._sums.items():
            count = self._updates if name.endswith("_norm") else self._tokens
            setattr(report, name, value / max(count, 1))
