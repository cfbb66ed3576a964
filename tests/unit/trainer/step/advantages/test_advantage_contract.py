"""What every estimator of `GROUP_ADVANTAGES` keeps: it compares the responses of one group, and nothing else.

A group whose advantages do not sum to zero would raise or lower the probability of all its responses together, whatever
they say. A new row of that table is tested here by itself.
"""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.settings.learner import LearnerSettings
from trainer.step.advantages.group_baselines import GROUP_ADVANTAGES

FLOOR = 0.05
COMPUTED_PER_TOKEN = {"gae", "score"}
"""`estimate` computes these from the rewards of single tokens."""
scores = st.lists(st.integers(0, 8).map(lambda eighths: eighths / 8), min_size=2, max_size=9)
"""Graded scores in [0, 1] that float64 holds exactly."""
every_estimator = pytest.mark.parametrize("estimator", GROUP_ADVANTAGES.values(), ids=GROUP_ADVANTAGES.keys())


def test_every_setting_has_its_estimator():
    settings = get_args(LearnerSettings.model_fields["advantage"].annotation)
    assert set(settings) == set(GROUP_ADVANTAGES) | COMPUTED_PER_TOKEN


@every_estimator
@given(scores)
def test_advantages_sum_to_zero_over_the_group(estimator, scores):
    found = estimator(scores, FLOOR)
    assert len(found) == len(scores)
    assert sum(found) == pytest.approx(0, abs=1e-9)


@every_estimator
@given(scores)
def test_a_better_score_never_has_a_lower_advantage(estimator, scores):
    found = estimator(scores, FLOOR)
    for one, its in zip(scores, found, strict=True):
        for other, theirs in zip(scores, found, strict=True):
            assert (one < other) <= (its < theirs)


@every_estimator
@given(scores, st.randoms(use_true_random=False))
def test_the_order_of_responses_changes_nothing(estimator, scores, random):
    order = random.sample(range(len(scores)), len(scores))
    found = estimator(scores, FLOOR)
    assert estimator([scores[i] for i in order], FLOOR) == pytest.approx([found[i] for i in order], abs=1e-9)


@every_estimator
@given(scores)
def test_what_all_responses_gain_changes_nothing(estimator, scores):
    assert estimator([score + 2 for score in scores], FLOOR) == pytest.approx(estimator(scores, FLOOR), abs=1e-9)


@every_estimator
@pytest.mark.parametrize("size", [1, 2, 8])
def test_equal_scores_teach_nothing(estimator, size):
    assert estimator([0.5] * size, FLOOR) == pytest.approx([0.0] * size, abs=1e-12)
