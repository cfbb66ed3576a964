"""Estimators against closed forms, and their properties."""

import math
from itertools import combinations, product
from statistics import fmean

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.evaluation.estimators import bootstrap_interval, pass_at_k, sign_flip_p

TINY = 1e-9


@st.composite
def sampled(draw):
    samples = draw(st.integers(1, 12))
    return samples, draw(st.integers(0, samples)), draw(st.integers(1, samples))


@given(sampled())
def test_pass_at_k_is_the_share_of_draws_that_hold_a_pass(drawn) -> None:
    """Chen et al.: the mean over all sets of k of the n samples."""
    samples, passed, k = drawn
    outcomes = [index < passed for index in range(samples)]
    expected = fmean(any(chosen) for chosen in combinations(outcomes, k))
    assert pass_at_k(samples, passed, k) == pytest.approx(expected, abs=TINY)


@given(st.integers(1, 40), st.floats(0, 1), st.data())
def test_pass_at_k_is_unbiased(samples: int, rate: float, data: st.DataObject) -> None:
    """Its mean over the binomial number of passes is 1 - (1 - p)^k."""
    k = data.draw(st.integers(1, samples))
    chances = [math.comb(samples, c) * rate**c * (1 - rate) ** (samples - c) for c in range(samples + 1)]
    mean = sum(chance * pass_at_k(samples, c, k) for c, chance in enumerate(chances))
    assert mean == pytest.approx(1 - (1 - rate) ** k, abs=1e-7)


def test_pass_at_1_is_the_share_that_passed_and_many_samples_do_not_overflow() -> None:
    assert pass_at_k(8, 3, 1) == pytest.approx(3 / 8)
    assert pass_at_k(100_000, 1, 50_000) == pytest.approx(0.5)
    assert pass_at_k(4, 0, 4) == 0.0
    assert pass_at_k(4, 1, 4) == 1.0


@pytest.mark.parametrize(("samples", "passed", "k"), [(4, 5, 1), (4, -1, 1), (4, 2, 5), (4, 2, 0), (0, 0, 1)])
def test_pass_at_k_without_an_estimate_is_refused(samples: int, passed: int, k: int) -> None:
    with pytest.raises(ValueError, match="cannot"):
        pass_at_k(samples, passed, k)


def test_interval_of_a_known_distribution() -> None:
    """Half of 400 prompts gain 1: the mean's standard error is 0.5 / 20, its interval about 0.5 -+ 1.96 * 0.025."""
    low, high = bootstrap_interval({"a": [0.0, 1.0] * 200})
    assert low == pytest.approx(0.451, abs=0.006)
    assert high == pytest.approx(0.549, abs=0.006)


def test_interval_leaves_out_the_spread_between_strata() -> None:
    assert bootstrap_interval({"a": [1.0] * 10, "b": [0.0] * 10}) == (0.5, 0.5)


def test_a_lower_level_gives_a_narrower_interval() -> None:
    values = {"a": list(np.linspace(0, 1, 50))}
    wide, narrow = bootstrap_interval(values), bootstrap_interval(values, level=0.5)
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_interval_of_many_prompts_is_drawn_in_parts() -> None:
    """300 resamples of 20,000 prompts are more numbers than are drawn at a time."""
    low, high = bootstrap_interval({"a": [0.0, 1.0] * 10_000}, resamples=300)
    assert 0.49 < low < 0.5 < high < 0.51


def test_interval_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no prompts"):
        bootstrap_interval({"a": []})


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=30), st.integers(0, 3))
def test_interval_is_ordered_within_bounds_and_repeatable(values: list[float], seed: int) -> None:
    low, high = bootstrap_interval({"a": values}, seed=seed)
    assert min(values) - TINY <= low <= high <= max(values) + TINY
    assert (low, high) == bootstrap_interval({"a": values}, seed=seed)


def test_an_interval_covers_the_mean_about_as_often_as_it_says() -> None:
    """Over 300 sets of 60 prompts, a 90 % interval misses the true mean in 30 of them, give or take."""
    generator = np.random.default_rng(1)
    missed = 0
    for _ in range(300):
        low, high = bootstrap_interval({"a": generator.beta(2, 3, size=60).tolist()}, level=0.9, resamples=500)
        missed += not low <= 2 / 5 <= high
    assert 15 <= missed <= 50


@given(st.lists(st.sampled_from([-1.0, -0.5, 0.0, 0.25, 1.0]), max_size=8))
def test_p_of_few_prompts_counts_all_sign_patterns(differences: list[float]) -> None:
    sums = [sum(sign * d for sign, d in zip(signs, differences, strict=True)) for signs in _signs(len(differences))]
    expected = fmean(abs(total) >= abs(sum(differences)) - TINY for total in sums)
    assert sign_flip_p(differences) == pytest.approx(expected)


def _signs(count: int):
    return product((-1, 1), repeat=count)


def test_p_of_one_sided_differences_is_two_patterns_of_all() -> None:
    assert sign_flip_p([0.25] * 10) == pytest.approx(2 / 2**10)
    assert sign_flip_p([0.0] * 50) == 1.0
    assert sign_flip_p([]) == 1.0


@given(st.lists(st.floats(-1, 1), min_size=14, max_size=30), st.integers(0, 3))
def test_p_of_many_prompts_is_symmetric_positive_and_repeatable(differences: list[float], seed: int) -> None:
    p = sign_flip_p(differences, flips=200, seed=seed)
    assert 1 / 201 <= p <= 1.0
    assert p == sign_flip_p([-difference for difference in differences], flips=200, seed=seed)


def test_random_flips_agree_with_the_binomial() -> None:
    """30 of 40 equal differences are gains: P(|2 B - 40| >= 20) for B of Binomial(40, 1/2)."""
    expected = 2 * sum(math.comb(40, wins) for wins in range(30, 41)) / 2**40
    found = sign_flip_p([1.0] * 30 + [-1.0] * 10, flips=100_000)
    assert found == pytest.approx(expected, abs=4 * math.sqrt(expected / 100_000))


def test_p_is_uniform_if_the_sides_are_exchangeable() -> None:
    generator = np.random.default_rng(2)
    found = [sign_flip_p(generator.normal(size=20), flips=300) for _ in range(400)]
    assert np.mean(np.array(found) <= 0.1) == pytest.approx(0.1, abs=0.05)
