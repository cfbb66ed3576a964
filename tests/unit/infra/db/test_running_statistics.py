"""Running statistics against the textbook's formulas, and the posterior that forgets by versions."""

import random
import statistics
from dataclasses import astuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.db.statistics import Running, posterior

SCORES = st.lists(st.floats(0, 1), min_size=1, max_size=30)
VERSIONED = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 3000)), min_size=1, max_size=30)
DECAY = st.floats(0, 1)


def over(scores, decay=0.9):
    """Statistics of (score, version) pairs in this order."""
    running = Running()
    for score, version in scores:
        running = running.add(score, version, decay)
    return running


def of_one_version(scores, decay=0.9):
    return over([(score, 7) for score in scores], decay)


def mean_of(running):
    return posterior(running.successes, running.failures).mean


@given(SCORES)
def test_running_mean_and_variance_are_those_of_the_scores(scores):
    running = of_one_version(scores)
    assert running.mean == pytest.approx(statistics.fmean(scores), abs=1e-9)
    assert running.m2 == pytest.approx(statistics.pvariance(scores) * len(scores), abs=1e-9)
    assert running.count == len(scores)


def test_a_score_of_one_half_is_no_pass():
    assert of_one_version([0.0, 0.5, 0.51, 1.0]).passes == 2


@given(SCORES, DECAY)
def test_scores_of_one_version_weigh_the_same(scores, decay):
    running = of_one_version(scores, decay)
    assert mean_of(running) == pytest.approx((1 + sum(scores)) / (2 + len(scores)))


@given(VERSIONED)
def test_without_forgetting_the_versions_do_not_matter(scores):
    assert mean_of(over(scores, decay=1)) == pytest.approx((1 + sum(s for s, _ in scores)) / (2 + len(scores)))


@given(VERSIONED, DECAY)
def test_the_evidence_is_the_sum_of_the_decayed_scores(scores, decay):
    running, newest = over(scores, decay), max(version for _, version in scores)
    assert running.evidence_version == newest
    assert running.successes == pytest.approx(sum(decay ** (newest - version) * score for score, version in scores))
    assert running.failures == pytest.approx(
        sum(decay ** (newest - version) * (1 - score) for score, version in scores)
    )
    assert running.successes >= 0
    assert running.failures >= 0


@given(VERSIONED, DECAY, st.randoms())
def test_the_order_of_arrival_does_not_matter(scores, decay, order: random.Random):
    shuffled = order.sample(scores, len(scores))
    assert astuple(over(shuffled, decay)) == pytest.approx(astuple(over(scores, decay)), abs=1e-9)


def test_a_late_score_of_an_older_version_weighs_less():
    assert astuple(over([(0.0, 12), (1.0, 10)], decay=0.5))[4:] == (0.25, 1.0, 12)


def test_a_score_of_a_newer_version_decays_the_evidence():
    assert astuple(over([(1.0, 10), (0.0, 12)], decay=0.5))[4:] == (0.25, 1.0, 12)


def test_without_memory_only_the_newest_version_counts():
    running = over([(1.0, 3), (0.0, 4), (0.0, 4), (1.0, 2)], decay=0)
    assert (running.successes, running.failures) == (0, 2)


@given(st.floats(0, 100), st.floats(0, 100), st.integers(0, 10**6), DECAY)
def test_old_evidence_returns_to_the_prior(successes, failures, age, decay):
    now, later = posterior(successes, failures, age, decay), posterior(successes, failures, age + 1, decay)
    assert 1 <= later.a <= now.a
    assert 1 <= later.b <= now.b
    assert (later.mean - 0.5) * (now.mean - 0.5) >= 0


def test_an_age_below_zero_decays_nothing():
    """A learner that rewound may select at an older version than that of the newest score."""
    assert posterior(3, 1, age=-5, decay=0.5) == posterior(3, 1)
    assert str(posterior(3, 1)) == "Beta(4.00, 2.00)"
