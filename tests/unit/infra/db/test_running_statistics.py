"""Running statistics against the textbook's formulas."""

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.db.statistics import Running

SCORES = st.lists(st.floats(0, 1), min_size=1, max_size=30)


def over(scores, decay=0.9):
    running = Running()
    for version, score in enumerate(scores):
        running = running.add(score, version, decay)
    return running


@given(SCORES)
def test_running_mean_and_variance_are_those_of_the_scores(scores):
    running = over(scores)
    assert running.mean == pytest.approx(statistics.fmean(scores), abs=1e-9)
    assert running.m2 == pytest.approx(statistics.pvariance(scores) * len(scores), abs=1e-9)
    assert (running.count, running.last, running.last_version) == (len(scores), scores[-1], len(scores) - 1)


def test_the_decayed_mean_starts_at_the_first_score():
    assert over([1.0]).decayed_mean == 1.0
    assert over([1.0, 0.0], decay=0.75).decayed_mean == 0.75


def test_a_score_of_one_half_is_no_pass():
    assert over([0.0, 0.5, 0.51, 1.0]).passes == 2
