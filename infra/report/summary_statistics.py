"""Statistics of summary and report, in addition to the estimators of an evaluation. Pure."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise

import numpy as np

OPENING_WORDS = 4

Pauses = tuple[tuple[float, float], ...]
"""From when to when a run was down, in Unix seconds, oldest first."""


def seconds_up(begin: datetime, end: datetime, pauses: Pauses) -> float:
    """Returns the seconds from `begin` to `end`, at least 0, without those in which the run was down."""
    first, last = begin.timestamp(), end.timestamp()
    down = sum(max(0.0, min(last, until) - max(first, since)) for since, until in pauses)
    return max(0.0, last - first - down)


def percentiles(values: Sequence[int]) -> dict[str, float | None]:
    """Returns p50, p99 and max of the values, by nearest rank, so that each is a value that occurred."""
    if not values:
        return {"p50": None, "p99": None, "max": None}
    p50, p99 = np.percentile(values, [50, 99], method="inverted_cdf")
    return {"p50": float(p50), "p99": float(p99), "max": float(max(values))}


def running_mean(values: Sequence[float], window: int) -> list[float]:
    """Returns the mean of the last `window` values at each position, or of all so far at the beginning."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    return [
        float((sums[end] - sums[max(0, end - window)]) / (end - max(0, end - window)))
        for end in range(1, len(values) + 1)
    ]


def opening_share(texts: Sequence[str]) -> float:
    """Returns the fraction of texts that begin with the most common first four words, among texts of at least four
    words. A template shows as a large fraction.
    """
    openings = Counter(
        tuple(words[:OPENING_WORDS]) for text in texts if len(words := text.lower().split()) >= OPENING_WORDS
    )
    return max(openings.values()) / openings.total() if openings else 0.0


def distinct_2(texts: Sequence[str]) -> float:
    """Returns distinct word pairs over all word pairs (Li et al., arXiv 1510.03055)."""
    pairs = Counter(pair for text in texts for pair in pairwise(text.lower().split()))
    return len(pairs) / pairs.total() if pairs else 0.0
