"""Estimators of an evaluation, as pure functions of scores: pass@k, intervals, and tests of a paired difference.

Invariant: the same scores and the same seed give the same numbers. The unit of resampling is the prompt, never the
sample: the samples of a prompt are not independent, and it is over prompts that a result should generalise. Intervals
and tests therefore cover the choice of prompts and the sampling of responses, and not the variance between training
seeds.

Sources
    pass@k    unbiased, 1 - C(n - c, k) / C(n, k) (Chen et al., arXiv 2107.03374, section 2.1)
    interval  percentile bootstrap, stratified (Efron and Tibshirani, An Introduction to the Bootstrap, chapter 13)
    p-value   sign-flip permutation test of a paired difference (Fisher, The Design of Experiments, section 21), exact
              for few prompts; with random flips, (b + 1) / (m + 1) (Phipson and Smyth, 2010), which is never 0
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

RESAMPLES = 10_000
"""Bootstrap resamples and random sign flips: the ends of a 95 % interval then vary by about 2 % of its width."""
LEVEL = 0.95
SEED = 0
"""Default seed of resampling; it is fixed, so that the same scores give the same interval."""
_EXACT_BELOW = 14
"""With fewer non-zero differences, all 2^n sign patterns are at most 8,192, fewer than the random flips."""
_CHUNK = 1 << 21
"""Numbers that are drawn at a time: 16 MiB, whatever the number of prompts."""
_ROUNDING = 1e-12
"""Relative slack with which a flipped sum counts as extreme as the observed one: sums of the same numbers in another
order differ by rounding."""

Floats = NDArray[np.float64]


def pass_at_k(samples: int, passed: int, k: int) -> float:
    """The unbiased estimate of the chance that at least one of `k` responses passes, from `passed` of `samples`.

    Raises ValueError unless 0 <= passed <= samples and 1 <= k <= samples: with fewer samples than k, no unbiased
    estimate exists.
    """
    if not 0 <= passed <= samples:
        raise ValueError(f"{passed} of {samples} responses cannot have passed")
    if not 1 <= k <= samples:
        raise ValueError(f"pass@{k} cannot be estimated from {samples} responses: k is from 1 to {samples}")
    if samples - passed < k:
        return 1.0
    # C(n - c, k) / C(n, k) as a product of factors in [0, 1], which neither overflows nor cancels.
    return float(1.0 - np.prod(1.0 - k / np.arange(samples - passed + 1, samples + 1)))


def bootstrap_interval(
    strata: Mapping[str, Sequence[float]], *, level: float = LEVEL, resamples: int = RESAMPLES, seed: int = SEED
) -> tuple[float, float]:
    """The interval of the mean over all prompts. `strata`: name -> one value per prompt; prompts are resampled with
    replacement within their stratum, so each stratum keeps its share.

    It has no width if all values of each stratum are equal, which says that the prompts agree, not that the mean is
    known exactly. Raises ValueError if there is no value.
    """
    values = [np.asarray(stratum, dtype=np.float64) for _, stratum in sorted(strata.items()) if len(stratum)]
    if not values:
        raise ValueError("no prompts: nothing to resample")
    generator = np.random.default_rng(seed)
    sums = np.zeros(resamples)
    for stratum in values:
        for rows in _chunks(resamples, stratum.size):
            picks = generator.integers(0, stratum.size, size=(rows.stop - rows.start, stratum.size))
            sums[rows] += stratum[picks].sum(axis=1)
    means = sums / sum(stratum.size for stratum in values)
    tail = 100 * (1 - level) / 2
    low, high = np.percentile(means, [tail, 100 - tail])
    return float(low), float(high)


def sign_flip_p(differences: ArrayLike, *, flips: int = RESAMPLES, seed: int = SEED) -> float:
    """The two-sided p-value of the hypothesis that the two sides of each pair are exchangeable, so that each difference
    is as likely with the other sign. 1 if there is no non-zero difference.
    """
    given = np.asarray(differences, dtype=np.float64)
    values = given[given != 0]  # a difference of zero is the same under both signs
    if not values.size:
        return 1.0
    bound = abs(values.sum()) - _ROUNDING * np.abs(values).sum()
    if values.size < _EXACT_BELOW:
        patterns = np.arange(1 << values.size)[:, None] >> np.arange(values.size) & 1
        sums = (1 - 2 * patterns) @ values
        return float(np.mean(np.abs(sums) >= bound))
    generator = np.random.default_rng(seed)
    extreme = 0
    for rows in _chunks(flips, values.size):
        bits = generator.integers(0, 2, size=(rows.stop - rows.start, values.size), dtype=np.int8)
        sums = (1 - 2 * bits) @ values
        extreme += int(np.count_nonzero(np.abs(sums) >= bound))
    return (extreme + 1) / (flips + 1)


def _chunks(rows: int, columns: int) -> Iterator[slice]:
    """Slices that cover `rows`, each of about _CHUNK numbers."""
    step = max(1, _CHUNK // columns)
    return (slice(start, min(rows, start + step)) for start in range(0, rows, step))
