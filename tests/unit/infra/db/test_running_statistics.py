"""Running statistics against the textbook's formulas, and the posterior that forgets by versions."""

import random
import statistics
from dataclasses import astuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.db.statistics import Running, comparable, posterior

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


def sums(running):
    """The statistics that do not depend on the order of arrival."""
    return astuple(running)[:7]


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
    assert sums(over(shuffled, decay)) == pytest.approx(sums(over(scores, decay)), abs=1e-9)


def test_a_late_score_of_an_older_version_weighs_less():
    assert sums(over([(0.0, 12), (1.0, 10)], decay=0.5))[4:] == (0.25, 1.0, 12)


def test_a_score_of_a_newer_version_decays_the_evidence():
    assert sums(over([(1.0, 10), (0.0, 12)], decay=0.5))[4:] == (0.25, 1.0, 12)


def test_without_memory_only_the_newest_version_counts():
    running = over([(1.0, 3), (0.0, 4), (0.0, 4), (1.0, 2)], decay=0)
    assert (running.successes, running.failures) == (0, 2)


@given(st.floats(0, 100), st.floats(0, 100), st.floats(0.01, 10), st.integers(0, 10**6), DECAY)
def test_old_evidence_returns_to_the_prior(successes, failures, prior, age, decay):
    now, later = (posterior(successes, failures, prior, age=age + more, decay=decay) for more in (0, 1))
    assert prior <= later.a <= now.a
    assert prior <= later.b <= now.b
    assert (later.mean - 0.5) * (now.mean - 0.5) >= 0


def test_an_age_below_zero_decays_nothing():
    """A learner that rewound may select at an older version than that of the newest score."""
    assert posterior(3, 1, age=-5, decay=0.5) == posterior(3, 1)
    assert str(posterior(3, 1)) == "Beta(4.00, 2.00)"


def test_equal_scores_in_a_row_are_counted_up_to_the_last():
    repeats = [over([(score, 0) for score in scores]).repeats for scores in ([], [0, 0, 0], [0, 0, 1, 1], [1, 0, 1])]
    assert repeats == [0, 3, 2, 1]
    almost = over([(0.5, 0), (0.505, 0), (0.512, 0)])
    assert (almost.last, almost.repeats) == (0.512, 1)


@given(st.permutations([0.0] * 5 + [1.0] * 3))
def test_a_group_with_a_spread_ends_the_row_in_whatever_order_its_scores_arrive(group):
    assert over([(0.0, 0)] * 40 + [(score, 1) for score in group]).repeats < len(group)


def answered(answers):
    running = Running()
    for answer in answers:
        running = running.add(0.0 if answer != "right" else 1.0, 0, 1.0, answer)
    return running


@given(st.lists(st.sampled_from(["a", "b", "right", None]), max_size=30).map(tuple), st.randoms())
def test_the_answer_of_most_wrong_responses_has_at_least_its_votes(answers, order: random.Random):
    running = answered(order.sample(answers, len(answers)))
    wrong = [answer for answer in answers if answer != "right"]
    for answer in ("a", "b"):
        majority = 2 * wrong.count(answer) - len(wrong)
        if majority > 0:
            assert running.wrong_answer == answer
            assert majority <= running.wrong_votes <= wrong.count(answer)


@pytest.mark.parametrize(
    ("answer", "text", "expected"),
    [
        ("7", "so \\boxed{7}", "7"),
        (None, " Paris. ", "paris"),
        (None, "PARIS", "paris"),
        (None, "word " * 40, None),
        (None, " ", None),
        ("", "Paris", None),
    ],
)
def test_responses_are_compared_by_their_answer_or_a_short_text(answer, text, expected):
    assert comparable(answer, text) == expected
