"""The next prompt: shares hold, passes are whole, and a restart goes on where it was."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.curriculum.schedule import NoPromptsError, Schedule

PROMPTS = {"math": [f"m{i}" for i in range(5)], "qa": [f"q{i}" for i in range(7)], "empty": []}


def taken(schedule, count):
    return [schedule.next() for _ in range(count)]


def test_domains_follow_their_shares():
    counts = Counter(name[0] for name in taken(Schedule(0, {"math": 3.0}, PROMPTS), 40))
    assert counts == {"m": 30, "q": 10}


def test_a_domain_of_weight_zero_is_left_out():
    assert all(name.startswith("q") for name in taken(Schedule(0, {"math": 0}, PROMPTS), 9))


def test_every_prompt_comes_once_a_pass_in_another_order():
    schedule = Schedule(0, {}, {"qa": PROMPTS["qa"]})
    first, second = taken(schedule, 7), taken(schedule, 7)
    assert sorted(first) == sorted(second) == PROMPTS["qa"]
    assert first != second


def test_another_seed_is_another_order():
    assert taken(Schedule(0, {}, PROMPTS), 12) != taken(Schedule(1, {}, PROMPTS), 12)


@given(st.integers(0, 30), st.integers(0, 5))
def test_a_restart_with_the_counts_goes_on_where_it_was(before, seed):
    whole = taken(Schedule(seed, {"math": 1.5}, PROMPTS), before + 10)
    counts = Counter({"m": "math", "q": "qa"}[name[0]] for name in whole[:before])
    assert taken(Schedule(seed, {"math": 1.5}, PROMPTS, dict(counts)), 10) == whole[before:]


@pytest.mark.parametrize(("shares", "prompts"), [({}, {}), ({}, {"qa": []}), ({"qa": 0}, {"qa": ["q"]})])
def test_nothing_to_train_on_says_what_to_do(shares, prompts):
    with pytest.raises(NoPromptsError, match="prompts ingest"):
        Schedule(0, shares, prompts).next()
