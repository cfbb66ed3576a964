"""Intervals over seeds, and the rollouts at which a mean curve reaches a score.

Invariant: arms are compared by resampling the same seeds of both (a paired bootstrap), so that what a seed's prompts
and samples have in common does not count as a difference.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from infra.lab.results import LabRun

Curves = Mapping[int, LabRun]
"""The runs of one arm by seed."""
_RESAMPLES = 1000
"""The ends of a 95 % interval then move by about a fiftieth of its width."""
_PLACES = 100
"""Places at which curves are compared: a hundredth of the cost is far below any interval."""
FEWEST = 3
"""Seeds from which on an interval is given: a bootstrap over two resamples three values."""
_FINAL = 2
"""Measurements at the end of a run whose mean is its final score."""


@dataclass(frozen=True, slots=True)
class SeedEstimate:
    value: float
    low: float
    high: float
    """Ends of the 95 % percentile interval of the bootstrap over seeds; infinite if there are too few seeds for one."""

    def text(self, digits: int = 3, *, sign: bool = False) -> str:
        form = f"{{:{'+' if sign else ''}.{digits}f}}"
        if not self.known:
            return form.format(self.value)
        return f"{form.format(self.value)} [{form.format(self.low)}, {form.format(self.high)}]"

    def share(self) -> str:
        """The same in per cent; an infinite cost means never."""
        value, low, high = (
            "never" if one == math.inf else f"{100 * one:.0f}" for one in (self.value, self.low, self.high)
        )
        value = value if value == "never" else f"{value} %"
        return f"{value} [{low}, {high}]" if self.known else value

    def reach(self, score: str, cost: str) -> str:
        """The same as the end of a sentence: `reaches SCORE with 40 % of COST`, or `does not reach SCORE`."""
        if self.value < math.inf:
            return f"reaches {score} with {self.share()} of {cost}"
        seldom = self.known and self.low < math.inf
        return f"does not reach {score}" + (f" ({self.share()} of {cost})" if seldom else "")

    @property
    def known(self) -> bool:
        """Whether there are seeds enough for an interval."""
        return not (self.low == -math.inf and self.high == math.inf)

    @property
    def beyond_zero(self) -> bool:
        """Whether the interval does not hold 0."""
        return self.low > 0 or self.high < 0


def bootstrap(seeds: Sequence[int], statistic: Callable[[Sequence[int]], float]) -> SeedEstimate:
    """The statistic of the seeds, with its interval over resamples of them. Infinite values are allowed."""
    draw = np.random.default_rng(0)
    value = statistic(seeds)
    if len(seeds) < FEWEST:
        return SeedEstimate(value, -math.inf, math.inf)
    drawn = [statistic([seeds[i] for i in draw.integers(len(seeds), size=len(seeds))]) for _ in range(_RESAMPLES)]
    low, high = np.quantile(drawn, [0.025, 0.975], method="nearest")
    return SeedEstimate(value, float(low), float(high))


def final_score(run: LabRun) -> float:
    return float(np.mean([point.score for point in run.curve[-_FINAL:]]))


def final_proxy(run: LabRun) -> float:
    """The same of the judge's scores, of a run whose held-out prompts were judged."""
    return float(np.mean([point.proxy for point in run.curve[-_FINAL:] if point.proxy is not None]))


def gain(run: LabRun) -> float:
    return final_score(run) - run.curve[0].score


def mean_of(runs: Curves, measure: Callable[[LabRun], float]) -> SeedEstimate:
    values = {seed: measure(run) for seed, run in runs.items()}
    return bootstrap(sorted(values), lambda seeds: float(np.mean([values[seed] for seed in seeds])))


def difference(runs: Curves, base: Curves, measure: Callable[[LabRun], float] = final_score) -> SeedEstimate:
    """Mean over the seeds that both have, of `runs` minus `base`."""
    common = sorted(runs.keys() & base.keys())
    values = {seed: measure(runs[seed]) - measure(base[seed]) for seed in common}
    return bootstrap(common, lambda seeds: float(np.mean([values[seed] for seed in seeds])))


def cost_ratio(runs: Curves, base: Curves, cost: Callable[[LabRun], Sequence[float]]) -> SeedEstimate:
    """The cost at which the mean curve of `runs` reaches the final score of `base`, over the whole cost of `base`;
    infinite if it never does. `cost` gives the cost at each point of a run's curve. The curve is made to rise first, so
    that a single lucky measurement does not count as having reached a score.
    """
    common = sorted(runs.keys() & base.keys())
    most = max(cost(run)[-1] for side in (runs, base) for run in side.values())
    grid = np.linspace(0.0, most, _PLACES)
    own = {seed: _on_grid(runs[seed], cost, grid) for seed in common}
    finals = {seed: final_score(base[seed]) for seed in common}
    ends = {seed: cost(base[seed])[-1] for seed in common}

    def statistic(seeds: Sequence[int]) -> float:
        target = np.mean([finals[seed] for seed in seeds])
        reached = first_reached(grid, rising(np.mean([own[seed] for seed in seeds], axis=0)), float(target))
        return reached / float(np.mean([ends[seed] for seed in seeds]))

    return bootstrap(common, statistic)


def first_reached(grid: npt.NDArray[np.float64], curve: npt.NDArray[np.float64], target: float) -> float:
    """The first place on the grid at which the curve is at the target, by straight lines; infinity if there is none."""
    at = np.flatnonzero(curve >= target)
    if not at.size:
        return float("inf")
    first = int(at[0])
    if first == 0:
        return float(grid[0])
    rise = curve[first] - curve[first - 1]
    return float(grid[first - 1] + (grid[first] - grid[first - 1]) * (target - curve[first - 1]) / rise)


def rising(curve: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The nearest curve that never falls, in the sense of least squares (pool adjacent violators)."""
    blocks: list[tuple[float, int]] = []
    for value in curve.tolist():
        mean, count = float(value), 1
        while blocks and blocks[-1][0] > mean:
            last, size = blocks.pop()
            mean, count = (mean * count + last * size) / (count + size), count + size
        blocks.append((mean, count))
    return np.concatenate([np.full(count, mean) for mean, count in blocks])


def mean_curve(
    runs: Curves, cost: Callable[[LabRun], Sequence[float]], points: int = 60
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Places, mean scores there, and their standard errors over the seeds; up to where the shortest run ends."""
    grid = np.linspace(0.0, min(cost(run)[-1] for run in runs.values()), points)
    each = np.array([_on_grid(run, cost, grid) for run in runs.values()])
    spread = each.std(axis=0, ddof=1) / np.sqrt(len(each)) if len(each) > 1 else np.zeros(points)
    return grid, each.mean(axis=0), spread


def rollouts(run: LabRun) -> Sequence[float]:
    return [float(point.rollouts) for point in run.curve]


def seconds(run: LabRun) -> Sequence[float]:
    return [point.seconds for point in run.curve]


def versions(run: LabRun) -> Sequence[float]:
    return [float(point.version) for point in run.curve]


def _on_grid(
    run: LabRun, cost: Callable[[LabRun], Sequence[float]], grid: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """The run's scores at the places of the grid, by straight lines; after its end, its final score."""
    scores = [point.score for point in run.curve]
    scores[-1] = final_score(run)
    return np.asarray(np.interp(grid, cost(run), scores))
