"""The sizes that follow from the admission settings. `trainer.curriculum.admission` explains them and proves the bound.
They are computed here so that settings whose numbers do not fit together fail when they are loaded.
"""

from dataclasses import dataclass
from math import floor
from typing import Protocol, Self


class _Settings(Protocol):
    @property
    def staleness(self) -> int: ...
    @property
    def groups_per_step(self) -> int: ...
    @property
    def window_share(self) -> float: ...


@dataclass(frozen=True, slots=True)
class AdmissionLimits:
    """S, P and f, and what follows from them."""

    staleness: int
    groups_per_step: int
    window_share: float

    def __post_init__(self) -> None:
        if self.staleness < 0 or self.groups_per_step < 1 or not 0 < self.window_share <= 1:
            raise ValueError(f"admission needs staleness >= 0, groups_per_step >= 1, 0 < window_share <= 1: {self}")

    @classmethod
    def of(cls, settings: _Settings) -> Self:
        """The limits that follow from `selector.admission`."""
        return cls(settings.staleness, settings.groups_per_step, settings.window_share)

    @property
    def slots(self) -> int:
        return (self.staleness + 1) * self.groups_per_step

    @property
    def window(self) -> int:
        return max(1, floor(self.window_share * self.slots))

    @property
    def max_age(self) -> int:
        """Largest age of a group, in versions: S + ceil((W - 1) / P), and 0 if S is 0."""
        if self.staleness == 0:
            return 0
        return self.staleness - (1 - self.window) // self.groups_per_step
