"""Intervals over seeds, and where a mean curve reaches a score."""

import math

import numpy as np
import pytest

from infra.lab.results import LabRun, Point
from infra.lab.statistics import (
    SeedEstimate,
    bootstrap,
    cost_ratio,
    difference,
    final_score,
    first_reached,
    mean_curve,
    rising,
    rollouts,
)


def run(seed: int, scores: list[float], *, each: int = 100) -> LabRun:
    curve = [Point(version=at, rollouts=each * at, seconds=float(at), score=score) for at, score in enumerate(scores)]
    return LabRun(
        arm="a",
        seed=seed,
        digest="d",
        curve=curve,
        outcomes={},
        spread=0,
        kinds={},
        assessed=0,
        entropy=(1.0, 0.5),
        staleness=0.0,
        seconds=1.0,
        cpu_seconds=1.0,
    )


def test_the_interval_of_a_mean_is_that_of_its_normal_approximation() -> None:
    values = dict(enumerate(np.random.default_rng(1).normal(3.0, 2.0, 40).tolist()))
    found = bootstrap(sorted(values), lambda seeds: float(np.mean([values[seed] for seed in seeds])))
    half = 1.96 * float(np.std(list(values.values()))) / math.sqrt(40)
    assert found.value == pytest.approx(np.mean(list(values.values())))
    assert found.high - found.low == pytest.approx(2 * half, rel=0.1)


def test_too_few_seeds_have_no_interval_and_show_none() -> None:
    found = bootstrap([3, 4], lambda seeds: float(seeds[0]))
    assert not found.known
    assert not found.beyond_zero
    assert found.text(1) == "3.0"
    assert found.share() == "300 %"
    assert bootstrap([3, 4, 5], lambda seeds: float(seeds[0])).known


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (SeedEstimate(0.4, 0.3, 0.5), "reaches it with 40 % [30, 50] of all"),
        (SeedEstimate(0.4, 0.3, math.inf), "reaches it with 40 % [30, never] of all"),
        (SeedEstimate(math.inf, 0.3, math.inf), "does not reach it (never [30, never] of all)"),
        (SeedEstimate(math.inf, math.inf, math.inf), "does not reach it"),
        (SeedEstimate(math.inf, -math.inf, math.inf), "does not reach it"),
    ],
)
def test_a_score_that_is_not_reached_is_told_as_such(found: SeedEstimate, told: str) -> None:
    assert found.reach("it", "all") == told


def test_a_rising_curve_is_the_nearest_that_never_falls() -> None:
    assert rising(np.array([1.0, 3.0, 2.0, 4.0])).tolist() == [1.0, 2.5, 2.5, 4.0]
    assert rising(np.array([3.0, 2.0, 1.0])).tolist() == [2.0, 2.0, 2.0]
    assert rising(np.array([0.0, 1.0])).tolist() == [0.0, 1.0]


def test_pairs_of_a_seed_are_compared() -> None:
    """What a seed adds to both sides does not widen the interval."""
    base = {seed: run(seed, [0.1, 0.3 + 0.05 * seed, 0.3 + 0.05 * seed]) for seed in range(6)}
    better = {seed: run(seed, [0.1, 0.4 + 0.05 * seed, 0.4 + 0.05 * seed]) for seed in range(6)}
    found = difference(better, base)
    assert found.low == pytest.approx(0.1)
    assert found.high == pytest.approx(0.1)
    assert found.beyond_zero


def test_the_final_score_is_the_mean_of_the_last_two_measurements() -> None:
    assert final_score(run(0, [0.0, 0.5, 0.7])) == pytest.approx(0.6)


def test_a_curve_that_is_twice_as_steep_takes_half_of_the_cost() -> None:
    slow = {seed: run(seed, [0.0, 0.2, 0.4, 0.6, 0.6]) for seed in range(4)}
    fast = {seed: run(seed, [0.0, 0.4, 0.8, 1.0, 1.0]) for seed in range(4)}
    assert cost_ratio(fast, slow, rollouts).value == pytest.approx(150 / 400, rel=0.02)
    assert cost_ratio(slow, fast, rollouts).value == math.inf


def test_the_first_crossing_counts() -> None:
    grid = np.array([0.0, 10.0, 20.0, 30.0])
    assert first_reached(grid, np.array([0.0, 0.5, 0.2, 0.9]), 0.25) == pytest.approx(5.0)
    assert first_reached(grid, np.array([0.3, 0.5, 0.2, 0.9]), 0.25) == 0.0
    assert first_reached(grid, np.array([0.0, 0.1, 0.2, 0.2]), 0.25) == math.inf


def test_a_mean_curve_ends_where_the_shortest_run_does() -> None:
    runs = {0: run(0, [0.0, 1.0, 1.0]), 1: run(1, [0.0, 1.0, 1.0, 1.0, 1.0])}
    places, mean, error = mean_curve(runs, rollouts)
    assert places[-1] == 200
    assert mean[-1] == pytest.approx(1.0)
    assert error[0] == 0.0
