"""The next prompt: shares hold, passes are whole, and a restart goes on where it was."""

from collections import Counter
from itertools import combinations, permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.settings.domain_shares import share_at
from trainer.curriculum.schedule import NoPromptsError, Schedule

PROMPTS = {"math": [f"m{i}" for i in range(5)], "qa": [f"q{i}" for i in range(7)], "empty": []}
DOMAINS = "abcd"
POOL = {domain: [f"{domain}{number}" for number in range(3)] for domain in DOMAINS}
"""Prompts whose first letter is their domain."""
SHARES = st.dictionaries(st.sampled_from(DOMAINS), st.floats(0.1, 5))
WEIGHTS = st.floats(0.1, 5)
POINTS = st.dictionaries(st.integers(0, 40), st.just(0.0) | WEIGHTS, min_size=1, max_size=4).map(
    lambda points: tuple(sorted(points.items()))
)
CHANGING = st.dictionaries(st.sampled_from(DOMAINS), WEIGHTS | POINTS)
HISTORIES = st.lists(st.tuples(st.sampled_from(DOMAINS), st.integers(0, 40)), max_size=80)
SELECTIONS = st.sets(st.sampled_from(DOMAINS), min_size=1)


def taken(schedule, count, step=0):
    return [schedule.next(step) for _ in range(count)]


def selected(domains):
    return {domain: POOL[domain] for domain in domains}


def test_domains_follow_their_shares():
    counts = Counter(name[0] for name in taken(Schedule(0, {"math": 3.0}, PROMPTS), 40))
    assert counts == {"m": 30, "q": 10}


def test_a_domain_of_weight_zero_is_left_out():
    schedule = Schedule(0, {"math": 0}, PROMPTS)
    schedule.replay([("math", 0)] * 3)
    assert all(name.startswith("q") for name in taken(schedule, 9))


def test_a_domain_that_comes_late_gets_its_share_and_no_more():
    schedule = Schedule(0, {"a": 3.0}, selected("a"))
    taken(schedule, 10_000)
    schedule.select(selected("ab"))
    assert abs(Counter(name[0] for name in taken(schedule, 100))["b"] - 25) <= 1


def test_a_domain_that_was_away_gets_its_share_and_no_more():
    schedule = Schedule(0, {}, selected("ab"))
    taken(schedule, 10)
    schedule.select(selected("a"))
    taken(schedule, 1000)
    schedule.select(selected("ab"))
    assert Counter(name[0] for name in taken(schedule, 100)) == {"a": 50, "b": 50}


def test_other_shares_are_not_repaid_over_the_history():
    schedule = Schedule(0, {"a": 1.0, "b": 4.0}, selected("ab"))
    schedule.replay([("a", 0), ("b", 0)] * 5000)
    assert Counter(name[0] for name in taken(schedule, 100)) == {"a": 20, "b": 80}


@given(SHARES, HISTORIES, SELECTIONS, st.integers(0, 60))
def test_shares_hold_from_any_group_on_whatever_came_before(shares, history, domains, count):
    schedule = Schedule(0, shares, selected(domains))
    schedule.replay(history)
    counts = Counter(name[0] for name in taken(schedule, count))
    turn = {domain: 1 / shares.get(domain, 1.0) for domain in domains}
    for one, other in combinations(sorted(domains), 2):
        difference = counts[one] * turn[one] - counts[other] * turn[other]
        assert abs(difference) <= turn[one] + turn[other] + 1e-9


@given(
    CHANGING,
    st.lists(st.tuples(SELECTIONS, st.integers(0, 12), st.integers(0, 40)), min_size=1, max_size=6),
    st.integers(0, 5),
)
def test_a_restart_goes_on_where_it_was_through_changes_of_the_selection(shares, rounds, seed):
    whole, restarted, history = Schedule(seed, shares, {}), [], []
    for domains, count, step in rounds:
        if not any(share_at(shares.get(domain, 1.0), step) for domain in domains):
            continue
        whole.select(selected(domains))
        again = Schedule(seed, shares, selected(domains))
        again.replay(history)
        picks = taken(whole, count, step)
        restarted += taken(again, count, step)
        assert picks == restarted[len(history) :]
        history += [(name[0], step) for name in picks]


def test_early_mathematics_gets_what_the_line_asks_for():
    """From 3 : 1 the share falls to 1 : 1 over 100 steps of 8 groups; the exact count is the sum over the steps."""
    schedule = Schedule(0, {"a": ((0, 3.0), (100, 1.0))}, selected("ab"))
    picks = [name[0] for step in range(100) for name in taken(schedule, 8, step)]
    asked = sum(8 * share / (1 + share) for share in (3 - 0.02 * step for step in range(100)))
    assert abs(picks.count("a") - asked) <= 1
    assert [name[0] for name in taken(schedule, 8, 200)].count("a") == 4


def test_a_share_that_was_tiny_leaves_no_debt_behind():
    schedule = Schedule(0, {"a": ((0, 0.001), (1, 1.0))}, selected("ab"))
    assert Counter(name[0] for name in taken(schedule, 10)) == {"a": 1, "b": 9}
    assert Counter(name[0] for name in taken(schedule, 10, 1))["a"] in (4, 5)


def test_a_share_that_was_zero_saved_nothing_up():
    schedule = Schedule(0, {"a": ((0, 0.0), (10, 0.0), (11, 1.0))}, selected("ab"))
    assert all(name.startswith("b") for name in taken(schedule, 1000, 10))
    assert Counter(name[0] for name in taken(schedule, 10, 11))["a"] in (5, 6)


@given(CHANGING, HISTORIES, SELECTIONS, st.lists(st.integers(0, 40), max_size=60))
def test_no_domain_owes_more_than_a_group_nor_is_owed_one(shares, history, domains, steps):
    """The groups of a domain are what its share pays over the time that passes for all, to within one group."""
    schedule = Schedule(0, shares, selected(domains))
    schedule.replay(history)
    paid, counts = Counter(), Counter()
    constant = {domain for domain in domains if all(share_at(shares.get(domain, 1.0), step) > 0 for step in steps)}
    for step in steps:
        weights = {domain: share_at(shares.get(domain, 1.0), step) for domain in domains}
        if not any(weights.values()):
            continue
        before = dict(schedule._owed)
        domain = schedule.next(step)[0]
        elapsed = before.get(domain, 0.0) / weights[domain]
        paid.update({name: elapsed * weights[name] for name in domains})
        counts[domain] += 1
        assert all(0 <= owed <= 1 for owed in schedule._owed.values())
    for domain in constant:
        assert abs(counts[domain] - paid[domain]) <= 1 + 1e-9


@given(CHANGING, SELECTIONS, HISTORIES, st.lists(st.integers(0, 40), min_size=1, max_size=60))
def test_shares_that_change_hold_between_their_least_and_largest(shares, domains, history, steps):
    """Seen from outside: over any groups, no domain gets more than its largest share, nor less than its least."""
    domains = {domain for domain in domains if all(share_at(shares.get(domain, 1.0), step) > 0 for step in steps)}
    schedule = Schedule(0, shares, selected(domains))
    schedule.replay(history)
    counts = Counter(schedule.next(step)[0] for step in steps) if domains else Counter()
    weights = {domain: [share_at(shares.get(domain, 1.0), step) for step in steps] for domain in domains}
    for one, other in permutations(domains, 2):
        assert (counts[one] - 1) / max(weights[one]) <= (counts[other] + 1) / min(weights[other]) + 1e-9


@given(CHANGING, st.lists(st.tuples(st.integers(0, 40), st.integers(0, 12)), max_size=6), st.integers(0, 5))
def test_a_restart_goes_on_where_it_was_through_changes_of_the_shares(shares, rounds, seed):
    whole, history = Schedule(seed, shares, POOL), []
    for step, count in rounds:
        if any(share_at(shares.get(domain, 1.0), step) for domain in DOMAINS):
            again = Schedule(seed, shares, POOL)
            again.replay(history)
            picks = taken(whole, count, step)
            assert taken(again, count, step) == picks
            history += [(name[0], step) for name in picks]


def test_an_alarm_changes_the_share_for_as_long_as_it_lasts():
    schedule = Schedule(0, {"a": 2.0}, selected("ab"))
    schedule.factors = {"a": 0.0}
    assert {name[0] for name in taken(schedule, 6)} == {"b"}
    schedule.factors = {}
    assert Counter(name[0] for name in taken(schedule, 30))["a"] in (20, 21)


@given(st.integers(0, 30), st.integers(0, 5))
def test_a_restart_in_the_middle_of_a_pass_goes_on_where_it_was(before, seed):
    whole = taken(Schedule(seed, {"math": 1.5}, PROMPTS), before + 10)
    again = Schedule(seed, {"math": 1.5}, PROMPTS)
    again.replay(({"m": "math", "q": "qa"}[name[0]], 0) for name in whole[:before])
    assert taken(again, 10) == whole[before:]


def test_every_prompt_comes_once_a_pass_in_another_order():
    schedule = Schedule(0, {}, {"qa": PROMPTS["qa"]})
    first, second = taken(schedule, 7), taken(schedule, 7)
    assert sorted(first) == sorted(second) == PROMPTS["qa"]
    assert first != second


def test_another_seed_is_another_order():
    assert taken(Schedule(0, {}, PROMPTS), 12) != taken(Schedule(1, {}, PROMPTS), 12)


@pytest.mark.parametrize(
    ("shares", "prompts"),
    [({}, {}), ({}, {"qa": []}), ({"qa": 0}, {"qa": ["q"]}), ({"qa": ((1, 0), (2, 1))}, {"qa": ["q"]})],
)
def test_nothing_to_train_on_says_what_to_do(shares, prompts):
    with pytest.raises(NoPromptsError, match="prompts ingest"):
        Schedule(0, shares, prompts).next(0)
