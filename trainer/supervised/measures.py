"""Measures of a judge's probabilities: ranking, accuracy and calibration.

Invariant: a measure that is undefined for its input raises ValueError; no returned number means "no data".
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def auc(scores: Sequence[float], labels: Sequence[bool]) -> float:
    """Chance that a right example scores above a wrong one; ties count half (Mann-Whitney)."""
    values, truth = _arrays(scores, labels)
    right, wrong = values[truth], values[~truth]
    if not len(right) or not len(wrong):
        raise ValueError("AUC needs a right and a wrong example")
    above = (right[:, None] > wrong[None, :]).sum() + 0.5 * (right[:, None] == wrong[None, :]).sum()
    return float(above / (len(right) * len(wrong)))


def accuracy(scores: Sequence[float], labels: Sequence[bool]) -> float:
    """Fraction of scores on the right side of 0.5; 0.5 itself means wrong."""
    values, truth = _arrays(scores, labels)
    return float(((values > 0.5) == truth).mean())


def expected_calibration_error(scores: Sequence[float], labels: Sequence[bool], bins: int = 10) -> float:
    """Mean gap between confidence and frequency over equal-width bins, weighted by their counts (Guo et al. 2017)."""
    values, truth = _arrays(scores, labels)
    bin_of = np.minimum((values * bins).astype(int), bins - 1)
    gaps = [
        abs(values[bin_of == number].mean() - truth[bin_of == number].mean()) * (bin_of == number).mean()
        for number in range(bins)
        if (bin_of == number).any()
    ]
    return float(sum(gaps))


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
