"""What a row of the table of scalars says."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scalar:
    """One scalar, or a family of them that differ in a label."""

    metric: str
    """Prometheus name without the prefix `rewardstream_` and without a counter's `_total`; empty: only logged."""
    logged: str
    """Name at TensorBoard and W&B, with labels in braces, as `loss/{kind}`; empty: only in Prometheus."""
    unit: str
    meaning: str
    healthy: str
    otherwise: str
    """What to do outside of the healthy range."""

    @property
    def help(self) -> str:
        """As Prometheus serves it."""
        return f"{self.meaning} Unit: {self.unit}. Healthy: {self.healthy}"
