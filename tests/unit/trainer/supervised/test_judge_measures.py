"""Measures of a judge against their definitions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.supervised.measures import accuracy, auc, expected_calibration_error, false_positive_rate, reliability

pairs = st.lists(st.tuples(st.integers(0, 20).map(lambda n: n / 20), st.booleans()), min_size=2, max_size=40).filter(
    lambda found: len({label for _, label in found}) == 2
)


@given(pairs)
def test_auc_is_the_share_of_ordered_pairs(found: list[tuple[float, bool]]) -> None:
    right = [score for score, label in found if label]
    wrong = [score for score, label in found if not label]
    wins = sum(1.0 if a > b else 0.5 * (a == b) for a in right for b in wrong)
    assert auc(*zip(*found, strict=True)) == pytest.approx(wins / (len(right) * len(wrong)))


@given(pairs)
def test_auc_looks_at_order_only(found: list[tuple[float, bool]]) -> None:
    scores, labels = zip(*found, strict=True)
    assert auc([score**3 / 2 for score in scores], labels) == pytest.approx(auc(scores, labels))


def test_a_judge_that_knows_is_perfect_and_calibrated() -> None:
    scores, labels = [1.0, 1.0, 0.0], [True, True, False]
    assert auc(scores, labels) == accuracy(scores, labels) == 1.0
    assert expected_calibration_error(scores, labels) == 0.0


def test_calibration_error_is_the_gap_of_confidence_and_frequency() -> None:
    scores = [0.9] * 4 + [0.2] * 6
    labels = [True, True, False, False] + [False] * 6
    assert expected_calibration_error(scores, labels) == pytest.approx(0.4 * 0.4 + 0.6 * 0.2)


def test_false_positives_are_scores_above_one_half() -> None:
    assert false_positive_rate([0.5, 0.51, 0.1, 0.9]) == 0.5


@pytest.mark.parametrize(("scores", "labels"), [([], []), ([0.1], [True]), ([0.1, 0.2], [True])])
def test_what_is_not_defined_is_an_error(scores: list[float], labels: list[bool]) -> None:
    with pytest.raises(ValueError, match=r"needs|give"):
        auc(scores, labels)


def test_a_rate_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one"):
        false_positive_rate([])


@given(pairs)
def test_bins_hold_every_score_once_and_give_the_calibration_error(found: list[tuple[float, bool]]) -> None:
    scores, labels = zip(*found, strict=True)
    bins = reliability(scores, labels, bins=4)
    assert sum(one.count for one in bins) == len(found)
    for one in bins:
        own = [(s, right) for s, right in found if one.low <= s < one.high or (one.high == 1 and s == 1)]
        assert one.count == len(own)
        assert one.confidence == pytest.approx(sum(s for s, _ in own) / len(own))
        assert one.frequency == pytest.approx(sum(right for _, right in own) / len(own))
    error = sum(abs(one.confidence - one.frequency) * one.count for one in bins) / len(found)
    assert expected_calibration_error(scores, labels, bins=4) == pytest.approx(error)
