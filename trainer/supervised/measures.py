"""How good a judge's probabilities are: ranking, accuracy and calibration.

Invariant: a measure that is not defined on its input raises ValueError; none returns a number that means "no data".
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def auc(scores: Sequence[float], labels: Sequence[bool]) -> float:
    """Chance that a right one scores above a wrong one, ties half (Mann-Whitney)."""
    values, truth = _arrays(scores, labels)
    right, wrong = values[truth], values[~truth]
    if not len(right) or not len(wrong):
        raise ValueError("AUC needs a right and a wrong example")
    above = (right[:, None] > wrong[None, :]).sum() + 0.5 * (right[:, None] == wrong[None, :]).sum()
    return float(above / (len(right) * len(wrong)))


def accuracy(scores: Sequence[float], labels: Sequence[bool]) -> float:
    """Share of scores on the right side of 0.5; 0.5 itself means wrong."""
    values, truth = _arrays(scores, labels)
    return float(((values > 0.5) == truth).mean())


def expected_calibration_error(scores: Sequence[float], labels: Sequence[bool], bins: int = 10) -> float:
    """Mean distance of confidence and frequency over equal-width bins, weighted by their counts (Guo et al. 2017)."""
    values, truth = _arrays(scores, labels)
    where = np.minimum((values * bins).astype(int), bins - 1)
    gaps = [
        abs(values[where == number].mean() - truth[where == number].mean()) * (where == number).mean()
        for number in range(bins)
        if (where == number).any()
    ]
    return float(sum(gaps))


def false_positive_rate(scores: Sequence[float]) -> float:
    """Share of wrong examples that score above 0.5."""
    if not len(scores):
        raise ValueError("a rate needs at least one example")
    return float((np.asarray(scores) > 0.5).mean())


def _arrays(scores: Sequence[float], labels: Sequence[bool]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    values, truth = np.asarray(scores, dtype=np.float64), np.asarray(labels, dtype=np.bool_)
    if len(values) != len(truth) or not len(values):
        raise ValueError(f"{len(values)} scores for {len(truth)} labels; give one label a score, and at least one")
    return values, truth
