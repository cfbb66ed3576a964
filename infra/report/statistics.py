"""The arithmetic of summary and report, pure.

Interval: percentile bootstrap of the mean paired difference, prompts resampled with replacement within their domain
(Efron and Tibshirani, An Introduction to the Bootstrap, ch. 13). It covers the choice of prompts, not the seed.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

RESAMPLES = 10_000
_SEED = 0
"""Fixed: the same scores give the same interval."""
OPENING_WORDS = 4


def bootstrap_interval(differences: Mapping[str, Sequence[float]]) -> tuple[float, float]:
    """95 % interval of the mean over all prompts of all strata; `differences` holds one a prompt, by domain.
    Raises ValueError where there is none.
    """
    strata = [np.asarray(values, dtype=np.float64) for _, values in sorted(differences.items()) if len(values)]
    if not strata:
        raise ValueError("no paired prompts: nothing to resample")
    generator = np.random.default_rng(_SEED)
    sums = np.zeros(RESAMPLES)
    for values in strata:
        picks = generator.integers(0, values.size, size=(RESAMPLES, values.size))
        sums += values[picks].sum(axis=1)
    means = sums / sum(values.size for values in strata)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def percentiles(values: Sequence[int]) -> dict[str, float | None]:
    """p50, p99 and max of what was observed (nearest rank, so that each is a real staleness)."""
    if not values:
        return {"p50": None, "p99": None, "max": None}
    p50, p99 = np.percentile(values, [50, 99], method="inverted_cdf")
    return {"p50": float(p50), "p99": float(p99), "max": float(max(values))}


def running_mean(values: Sequence[float], window: int) -> list[float]:
    """Mean of the last `window` values at each place; shorter at the beginning."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    return [
        float((sums[end] - sums[max(0, end - window)]) / (end - max(0, end - window)))
        for end in range(1, len(values) + 1)
    ]


def opening_share(texts: Sequence[str]) -> float:
    """Share of the most common first four words, among texts that have four; a template shows as a large share."""
    openings = Counter(
        tuple(words[:OPENING_WORDS]) for text in texts if len(words := text.lower().split()) >= OPENING_WORDS
    )
    return max(openings.values()) / openings.total() if openings else 0.0


def distinct_2(texts: Sequence[str]) -> float:
    """Different word pairs by all word pairs (Li et al., 1510.03055)."""
    pairs = Counter(pair for text in texts for pair in pairwise(text.lower().split()))
    return len(pairs) / pairs.total() if pairs else 0.0
