"""What other rules would have sent: counted by hand, never imputed, and right where the truth is known."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.curriculum.simulate import RateEstimate, RecordedGroup, RuleChoice, simulate


def group(prompt, spread, reward=0.5, at=0, domain="math"):
    return RecordedGroup(round=at, domain=domain, prompt=prompt, spread=spread, reward=reward)


def choice(selected, recorded, at=0, domain="math"):
    return RuleChoice(round=at, domain=domain, selected=selected, recorded=frozenset(recorded))


def by_hand(groups, sent, choices, **options):
    return {found.rule: found for found in simulate(groups, sent, choices, run_selected=4, resamples=200, **options)}


GROUPS = [group(1, True, 0.5), group(1, False, 0.0), group(2, False, 0.0), group(3, True, 0.4), group(4, False, 1.0)]
SENT = {(0, "math"): 8}


def test_groups_are_counted_as_known_and_unknown():
    """The rule sends 8 groups, 2 to each of its 4 prompts; two of them are recorded, with spreads 1/2 and 1."""
    found = by_hand(GROUPS, SENT, {"rule": [choice(4, {1, 3})]})
    rule, run = found["rule"], found["the run"]
    assert (rule.groups, rule.known, rule.unknown, rule.coverage) == (8, 4, 4, 0.5)
    assert rule.spread.mean == 0.75
    assert rule.without_spread == 1
    assert rule.reward.mean == pytest.approx((0.25 + 0.4) / 2)
    assert rule.spread_difference.mean == pytest.approx(0.75 - 1.5 / 4)
    assert (run.groups, run.known, run.selected) == (8, 5, 4)
    assert run.spread_difference == run.reward_difference == RateEstimate(mean=0, low=0, high=0)


def test_what_was_never_recorded_is_unknown_and_not_imputed():
    nothing = by_hand(GROUPS, SENT, {"rule": [choice(4, ())]})["rule"]
    assert (nothing.groups, nothing.known, nothing.without_spread) == (8, 0, None)
    assert nothing.spread == nothing.reward_difference == RateEstimate()
    later = by_hand(GROUPS, SENT | {(1, "math"): 8}, {"rule": [choice(2, {1}), choice(2, (), at=1)]})["rule"]
    assert (later.groups, later.known) == (16, 4)


def test_a_rule_sends_nothing_where_it_selects_nothing():
    found = by_hand(GROUPS, SENT | {(0, "qa"): 5}, {"rule": [choice(1, {1}), choice(0, (), domain="qa")]})["rule"]
    assert (found.groups, found.selected) == (8, 1)


def test_without_any_group_there_is_no_estimate():
    found = by_hand([], {}, {"rule": []})
    assert found["rule"].spread == found["the run"].spread == RateEstimate()
    assert found["rule"].coverage == 0


def test_the_same_seed_gives_the_same_interval():
    choices = {"rule": [choice(4, {1, 3, 4})]}
    assert by_hand(GROUPS, SENT, choices, seed=3) == by_hand(GROUPS, SENT, choices, seed=3)
    assert by_hand(GROUPS, SENT, choices, seed=3) != by_hand(GROUPS, SENT, choices, seed=4)


PROMPTS = st.integers(1, 6)
RECORDED = st.lists(
    st.builds(group, PROMPTS, st.booleans(), st.floats(0, 1), st.integers(0, 2), st.sampled_from(["math", "qa"])),
    min_size=1,
    max_size=20,
)


@given(RECORDED, st.integers(0, 3))
def test_the_rule_of_the_run_differs_from_it_by_nothing(groups, more):
    """The same prompts as the run, whatever else the rule selects, however many groups are unknown."""
    cells = {(item.round, item.domain) for item in groups}
    recorded = {cell: {item.prompt for item in groups if (item.round, item.domain) == cell} for cell in cells}
    sent = dict.fromkeys(cells, 10)
    choices = [choice(len(recorded[cell]) + more, recorded[cell], *cell) for cell in cells]
    rule = by_hand(groups, sent, {"rule": choices})["rule"]
    for difference in (rule.spread_difference, rule.reward_difference):
        assert (difference.mean, difference.low, difference.high) == pytest.approx((0, 0, 0))
    assert rule.known <= rule.groups
    assert 0 <= rule.without_spread <= rule.known + 1e-9


def test_the_interval_holds_the_truth_when_the_run_drew_its_prompts():
    """A run that selects uniformly records a random sample: a rule's rate is then estimated without bias. Of 40 such
    runs about two miss the truth with a 95 % interval; eight would be a defect.
    """
    chance = {prompt: 0.1 + 0.8 * (prompt % 10) / 9 for prompt in range(400)}
    wanted = [prompt for prompt in chance if 3 <= prompt % 10 <= 6]
    truth = sum(chance[prompt] for prompt in wanted) / len(wanted)
    misses = 0
    for seed in range(40):
        draw = random.Random(seed)
        seen = draw.sample(sorted(chance), 150)
        groups = [group(prompt, draw.random() < chance[prompt]) for prompt in seen]
        chosen = choice(len(wanted), set(wanted) & set(seen))
        rule = by_hand(groups, {(0, "math"): 150}, {"rule": [chosen]}, seed=seed)["rule"]
        assert rule.coverage == pytest.approx(150 / 400, abs=0.1)
        misses += not rule.spread.low <= truth <= rule.spread.high
    assert misses < 8
