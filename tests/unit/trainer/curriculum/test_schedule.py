"""The next prompt: shares hold, passes are whole, and a restart goes on where it was."""

from collections import Counter
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.curriculum.schedule import NoPromptsError, Schedule

PROMPTS = {"math": [f"m{i}" for i in range(5)], "qa": [f"q{i}" for i in range(7)], "empty": []}
DOMAINS = "abcd"
POOL = {domain: [f"{domain}{number}" for number in range(3)] for domain in DOMAINS}
"""Prompts whose first letter is their domain."""
SHARES = st.dictionaries(st.sampled_from(DOMAINS), st.floats(0.1, 5))
HISTORIES = st.text(DOMAINS, max_size=80)
SELECTIONS = st.sets(st.sampled_from(DOMAINS), min_size=1)


def taken(schedule, count):
    return [schedule.next() for _ in range(count)]


def selected(domains):
    return {domain: POOL[domain] for domain in domains}


def test_domains_follow_their_shares():
    counts = Counter(name[0] for name in taken(Schedule(0, {"math": 3.0}, PROMPTS), 40))
    assert counts == {"m": 30, "q": 10}


def test_a_domain_of_weight_zero_is_left_out():
    schedule = Schedule(0, {"math": 0}, PROMPTS)
    schedule.replay(["math"] * 3)
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
    schedule.replay("ab" * 5000)
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


@given(SHARES, st.lists(st.tuples(SELECTIONS, st.integers(0, 12)), min_size=1, max_size=6), st.integers(0, 5))
def test_a_restart_goes_on_where_it_was_through_changes_of_the_selection(shares, rounds, seed):
    whole, restarted, history = Schedule(seed, shares, {}), [], []
    for domains, count in rounds:
        whole.select(selected(domains))
        again = Schedule(seed, shares, selected(domains))
        again.replay(history)
        picks = taken(whole, count)
        restarted += taken(again, count)
        assert picks == restarted[len(history) :]
        history += [name[0] for name in picks]


@given(st.integers(0, 30), st.integers(0, 5))
def test_a_restart_in_the_middle_of_a_pass_goes_on_where_it_was(before, seed):
    whole = taken(Schedule(seed, {"math": 1.5}, PROMPTS), before + 10)
    again = Schedule(seed, {"math": 1.5}, PROMPTS)
    again.replay({"m": "math", "q": "qa"}[name[0]] for name in whole[:before])
    assert taken(again, 10) == whole[before:]


def test_every_prompt_comes_once_a_pass_in_another_order():
    schedule = Schedule(0, {}, {"qa": PROMPTS["qa"]})
    first, second = taken(schedule, 7), taken(schedule, 7)
    assert sorted(first) == sorted(second) == PROMPTS["qa"]
    assert first != second


def test_another_seed_is_another_order():
    assert taken(Schedule(0, {}, PROMPTS), 12) != taken(Schedule(1, {}, PROMPTS), 12)


@pytest.mark.parametrize(("shares", "prompts"), [({}, {}), ({}, {"qa": []}), ({"qa": 0}, {"qa": ["q"]})])
def test_nothing_to_train_on_says_what_to_do(shares, prompts):
    with pytest.raises(NoPromptsError, match="prompts ingest"):
        Schedule(0, shares, prompts).next()
