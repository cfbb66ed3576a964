"""Running statistics of a prompt, updated one score at a time (Welford, 1962), as a value without a database."""

from dataclasses import dataclass

PASS_ABOVE = 0.5
"""A score above this counts as a pass; for GenRM it means better than the reference."""


@dataclass(frozen=True, slots=True)
class Running:
    """Statistics of `count` scores; all zero before the first."""

    count: int = 0
    mean: float = 0.0
    m2: float = 0.0
    """Sum of squared deviations from the mean; the sample variance is m2 / (count - 1)."""
    passes: int = 0
    decayed_mean: float = 0.0
    last: float = 0.0
    last_version: int = 0

    def add(self, score: float, version: int, decay: float) -> "Running":
        """The statistics with one more score. `decay` in [0, 1] is the weight of the past in the decayed mean, which
        starts at the first score.
        """
        count = self.count + 1
        delta = score - self.mean
        mean = self.mean + delta / count
        return Running(
            count=count,
            mean=mean,
            m2=self.m2 + delta * (score - mean),
            passes=self.passes + (score > PASS_ABOVE),
            decayed_mean=score if self.count == 0 else decay * self.decayed_mean + (1 - decay) * score,
            last=score,
            last_version=version,
        )
