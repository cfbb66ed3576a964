"""The words that a judge may answer with, and the probability mass of each.

Invariant: a scale's first word earns the score; `VerdictProbabilities.score` is its fraction of the mass of all words.
"""

import math
from dataclasses import dataclass

ROUNDING = 1e-2
"""Excess over one that the probabilities of a bfloat16 model may sum to."""


@dataclass(frozen=True, slots=True)
class Scale:
    words: tuple[str, ...]
    """Upper case; the winning word is first, INVALID is last of three."""

    @property
    def spellings(self) -> tuple[tuple[str, ...], ...]:
        """[word][spelling], each without a leading space."""
        return tuple((word.capitalize(), word.lower(), word) for word in self.words)


YES_NO = Scale(("YES", "NO"))
CORRECTNESS = Scale(("CORRECT", "INCORRECT", "INVALID"))
PREFERENCE = Scale(("BETTER", "WORSE", "INVALID"))


@dataclass(frozen=True, slots=True)
class VerdictProbabilities:
    """Probability mass per word, summed over its spelling variants."""

    scale: Scale
    masses: tuple[float, ...]

    @property
    def covered(self) -> float:
        return math.fsum(self.masses)

    @property
    def score(self) -> float:
        return self.masses[0] / self.covered

    @property
    def off_verdict_mass(self) -> float:
        return max(0.0, 1.0 - self.covered)

    @property
    def invalid(self) -> float | None:
        """Fraction of the third word; None on a scale of two."""
        return self.masses[2] / self.covered if len(self.masses) > 2 else None

    @property
    def usable(self) -> bool:
        """Whether the words have some mass, and no more than a distribution has."""
        return all(math.isfinite(mass) for mass in self.masses) and 0 < self.covered <= 1 + ROUNDING

    def __str__(self) -> str:
        pairs = zip(self.scale.words, self.masses, strict=True)
        return ", ".join(f"P({word}) {mass:.4f}" for word, mass in pairs)
