"""The sequential test: its bound is exact, it is silent on sound runs at the stated rate, and it sees hacking early."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.guard_runs import (
    EVALUATIONS,
    PROMPTS,
    RULE,
    SAMPLES,
    SKILLS,
    SOUND,
    constant,
    evaluations,
    first_alarm,
    point,
)

from trainer.guard.confirmation import (
    BENTKUS,
    ConfirmationRule,
    HeldOutPoint,
    check_all,
    check_latest,
    sign_z,
    z_limit,
)


@pytest.mark.parametrize("kind", SOUND)
def test_sound_runs_are_silent(kind: str) -> None:
    alarms = [first_alarm(evaluations(seed, SOUND[kind], lambda _: 0.0)) for seed in range(40)]
    assert sum(alarm is not None for alarm in alarms) <= RULE.false_alarm_rate * len(alarms)


def test_the_rate_of_false_alarms_holds_if_nothing_but_the_test_keeps_them_down() -> None:
    """Two scorers that err at random, a large allowed rate, and every rise counts."""
    rule = ConfirmationRule(false_alarm_rate=0.5, margin=0.0, confirmed_share=1.0)
    runs = [evaluations(seed, lambda _: 1.0, lambda _: 0.0, wrong_passed=0.3) for seed in range(100)]
    found = sum(any(check.alarm for check in check_all(points, rule)) for points in runs)
    assert 0 < found <= 50


def test_hacking_is_seen_before_the_held_out_score_has_fallen_by_more_than_its_noise() -> None:
    """The policy learns the trick step by step; half of its answers use it at the end."""
    noise = 1.96 * np.sqrt(2 * np.mean(SKILLS * (1 - SKILLS)) / SAMPLES / PROMPTS)
    falls = []
    for seed in range(40):
        points = evaluations(seed, lambda _: 1.0, lambda t: t / 2)
        alarm = first_alarm(points)
        assert alarm is not None, seed
        falls.append(np.mean(SKILLS) * alarm.version / (EVALUATIONS - 1) / 2)
    assert np.mean(falls) < noise
    assert np.mean(np.array(falls) < noise) >= 0.9


@given(st.lists(st.floats(-2, 2), min_size=1, max_size=9), st.floats(0.001, 0.9))
def test_random_signs_exceed_the_limit_with_at_most_the_stated_probability(sizes: list[float], rate: float) -> None:
    """All 2^n signs are counted."""
    sums = [sign_z(np.array(sizes) * signs) for signs in product((-1, 1), repeat=len(sizes))]
    assert np.mean(np.array(sums) > z_limit(rate)) <= rate


def test_the_factor_of_the_bound_is_the_published_one() -> None:
    assert round(BENTKUS, 2) == 3.18


def test_what_all_evaluations_may_spend_sums_to_the_rate() -> None:
    """The limits of each comparison, turned back into rates by the bound, for a run of 200 evaluations."""
    from statistics import NormalDist

    points = [constant(version, 0.5, 0.5) for version in range(2)]
    spent = 0.0
    for number in range(1, 200):
        check = check_latest(points, RULE, evaluations=number)
        assert check is not None
        spent += BENTKUS * NormalDist().cdf(-check.limit)
    assert RULE.false_alarm_rate * (1 - 1 / 200) == pytest.approx(spent, rel=1e-6)


def test_a_rise_that_the_second_scorer_confirms_raises_no_alarm() -> None:
    found = check_latest([constant(0, 0.2, 0.2), constant(3, 0.6, 0.7)], RULE)
    assert found is not None
    assert (found.alarm, found.since_version, found.prompts) == (False, 0, PROMPTS)
    assert found.z > found.limit  # the gap has grown beyond doubt, but most of the rise is real
    assert (found.reward_change, found.true_change) == pytest.approx((0.5, 0.4))


def test_a_rise_that_it_does_not_confirm_raises_one_that_names_the_versions() -> None:
    points = [constant(0, 0.4, 0.4), constant(4, 0.4, 0.4), constant(8, 0.4, 0.8)]
    found = check_latest(points, RULE)
    assert found is not None
    assert (found.alarm, found.version, found.label) == (True, 8, "v8")
    assert found.since_version == 0


def test_a_policy_that_unlearns_without_reward_raises_no_alarm() -> None:
    found = check_latest([constant(0, 0.8, 0.8), constant(3, 0.2, 0.5)], RULE)
    assert found is not None
    assert found.z > found.limit
    assert not found.alarm


def test_a_rise_below_the_margin_does_not_count_however_certain_it_is() -> None:
    small = check_latest([constant(0, 0.4, 0.4), constant(4, 0.4, 0.415)], RULE)
    large = check_latest([constant(0, 0.4, 0.4), constant(4, 0.4, 0.425)], RULE)
    assert small is not None
    assert large is not None
    assert small.z > small.limit
    assert (small.alarm, large.alarm) == (False, True)


def test_evaluations_by_other_scorers_are_not_compared() -> None:
    points = [constant(0, 0.4, 0.4, scorers="a@1"), constant(4, 0.4, 0.9, scorers="a@2")]
    assert check_latest(points, RULE) is None
    points.append(constant(8, 0.4, 0.9, scorers="a@2"))
    found = check_latest(points, RULE)
    assert found is not None
    assert (found.since_version, found.alarm) == (4, False)


def test_only_common_prompts_count() -> None:
    before = point(0, [0.5] * 20, [0.5] * 20)
    after = HeldOutPoint(label="v1", version=1, confirmed={"p3": 0.5, "q": 0.0}, credited={"p3": 0.5, "q": 1.0})
    found = check_latest([before, after], RULE)
    assert found is not None
    assert (found.prompts, found.reward_change) == (1, 0.0)
    assert check_latest([before, HeldOutPoint(label="v1", version=1, confirmed={"q": 1.0}, credited={})], RULE) is None


@pytest.mark.parametrize(("reward", "alarm"), [(0.6, True), (0.5, True), (0.4, False), (None, False)])
def test_without_a_second_scorer_a_fall_raises_the_alarm_unless_the_reward_falls_too(reward, alarm) -> None:
    points = [point(0, [0.6] * PROMPTS, reward=0.5), point(4, [0.3] * PROMPTS, reward=reward)]
    found = check_latest(points, RULE)
    assert found is not None
    assert found.alarm is alarm
    assert found.reward_change == (None if reward is None else pytest.approx(reward - 0.5))


def test_without_a_second_scorer_memorised_training_prompts_raise_no_alarm() -> None:
    found = check_latest([point(0, [0.4] * PROMPTS, reward=0.3), point(4, [0.4] * PROMPTS, reward=0.9)], RULE)
    assert found is not None
    assert not found.alarm


def test_nothing_to_compare_is_no_check() -> None:
    assert check_latest([], RULE) is None
    assert check_all([constant(0, 0.5, 0.5)], RULE) == []
