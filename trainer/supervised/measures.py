"""Measures of a judge's probabilities: ranking, accuracy and calibration.

Invariant: a measure that is undefined for its input raises ValueError; no returned number means "no data".
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """The scores in [low, high), and in the last bin 1 too."""

    low: float
    high: float
    count: int
    confidence: float
    """Mean score."""
    frequency: float
    """Fraction of right examples."""


def auc(scores: Sequence[float], labels: Sequence[bool]) -> float:
    """Chance that a right example scores above a wrong one; ties count half (Mann-Whitney)."""
    values, truth = _arrays(scores, labels)
    right, wrong = values[truth], np.sort(values[~truth])
    if not len(right) or not len(wrong):
        raise ValueError("AUC needs a right and a wrong example")
    below, up_to = (np.searchsorted(wrong, right, side=side).sum() for side in ("left", "right"))
    return float((below + up_to) / 2 / (len(right) * len(wrong)))


def accuracy(scores: Sequence[float], labels: Sequence[bool]) -> float:
    """Fraction of scores on the right side of 0.5; 0.5 itself means wrong."""
    values, truth = _arrays(scores, labels)
    return float(((values > 0.5) == truth).mean())


def reliability(scores: Sequence[float], labels: Sequence[bool], bins: int = 10) -> list[ReliabilityBin]:
    """The bins of equal width that hold a score."""
    values, truth = _arrays(scores, labels)
    bin_of = np.minimum((values * bins).astype(int), bins - 1)
    return [
        ReliabilityBin(number / bins, (number + 1) / bins, int(own.sum()), values[own].mean(), truth[own].mean())
        for number in range(bins)
        if (own := bin_of == number).any()
    ]


def expected_calibration_error(scores: Sequence[float], labels: Sequence[bool], bins: int = 10) -> float:
    """Mean gap between confidence and frequency over equal-width bins, weighted by their counts (Guo et al. 2017)."""
    found = reliability(scores, labels, bins)
    return float(sum(abs(one.confidence - one.frequency) * one.count for one in found) / len(scores))


def false_positive_rate(scores: Sequence[float]) -> float:
    """Fraction of wrong examples that score above 0.5."""
    if not len(scores):
        raise ValueError("a rate needs at least one example")
    return float((np.asarray(scores) > 0.5).mean())


def _arrays(scores: Sequence[float], labels: Sequence[bool]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    values, truth = np.asarray(scores, dtype=np.float64), np.asarray(labels, dtype=np.bool_)
    if len(values) != len(truth) or not len(values):
        raise ValueError(f"{len(values)} scores for {len(truth)} labels; give one label per score, and at least one")
    return values, truth
