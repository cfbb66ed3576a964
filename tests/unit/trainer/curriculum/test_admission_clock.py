"""The admission bound on a simulated clock: engines, long-tailed lengths, filtered and expired groups."""

import math
from dataclasses import replace
from itertools import count, pairwise

import pytest
from bench.admission_simulation import DeadlockError, Simulation, SimulationPlan
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.settings.admission_limits import AdmissionLimits

LIMITS = st.builds(
    AdmissionLimits,
    staleness=st.integers(0, 6),
    groups_per_step=st.integers(1, 10),
    window_share=st.sampled_from([0.01, 0.1, 0.3, 0.5, 0.9, 1.0]),
)
LOGNORMAL = st.builds(
    lambda sigma: lambda draw: 1 + int(draw.lognormvariate(3, sigma)), st.sampled_from([0.0, 0.5, 1.5, 3.0])
)
PARETO = st.builds(
    lambda shape: lambda draw: int(min(1e9, draw.paretovariate(shape))), st.sampled_from([0.4, 0.8, 1.5])
)
FOR_EVER = math.inf


def plan(**chosen):
    defaults = {
        "limits": AdmissionLimits(1, 4, 0.3),
        "lengths": lambda _: 1,
        "engines": 1,
        "running": 4,
        "group_size": 1,
        "steps": 30,
        "decode_seconds": 1.0,
        "decode_seconds_more": 0.0,
        "learner_tokens_per_second": 100.0,
    }
    return SimulationPlan(**defaults | chosen)


PLANS = st.builds(
    plan,
    limits=LIMITS,
    lengths=LOGNORMAL | PARETO,
    engines=st.integers(1, 8),
    running=st.integers(1, 6),
    group_size=st.integers(1, 4),
    decode_seconds_more=st.sampled_from([0.0, 0.2]),
    learner_tokens_per_second=st.sampled_from([1.0, 20.0, 1e6]),
    step_seconds=st.sampled_from([0.0, 5.0]),
    publish_seconds=st.sampled_from([0.0, 3.0, 200.0]),
    latency_seconds=st.sampled_from([0.0, 2.0]),
    deadline_seconds=st.sampled_from([60.0, 2000.0, math.inf]),
    filtered=st.sampled_from([0.0, 0.3, 0.8]),
    placement=st.sampled_from(["hashed", "idle"]),
    seed=st.integers(0, 2**32),
)


def play(plan):
    """`lengths` of some plans never ends below the deadline: then no group completes, and the clock runs away."""
    simulation = Simulation(plan)
    for _ in range(10_000):
        if not simulation.advance():
            break
    return simulation.outcome


@given(PLANS)
@settings(max_examples=80)
def test_no_group_is_older_than_the_bound_and_no_run_stands_still(plan):
    outcome = play(plan)  # raises DeadlockError
    assert max(outcome.ages, default=0) <= plan.limits.max_age
    assert outcome.most_open <= plan.limits.slots
    assert outcome.closed["trained"] == len(outcome.step_ends) * plan.limits.groups_per_step
    assert outcome.closed["expired"] == 0 or plan.deadline_seconds < math.inf


@given(PLANS)
@settings(max_examples=60)
def test_synchronous_training_is_on_policy_whatever_the_engines_lag(plan):
    limits = AdmissionLimits(0, plan.limits.groups_per_step, plan.limits.window_share)
    outcome = play(replace(plan, limits=limits))
    assert set(outcome.ages) | set(outcome.staleness) <= {0}


@given(PLANS)
@settings(max_examples=40)
def test_tokens_keep_the_bound_where_engines_hold_each_version_at_once(plan):
    outcome = play(replace(plan, publish_seconds=0.0))
    assert max(outcome.staleness, default=0) <= plan.limits.max_age


@given(LIMITS)
@settings(max_examples=100)
def test_the_staleness_bound_is_reached_on_a_simulated_clock(limits):
    """The youngest of the first B groups takes as long as the window lets the others overtake it."""
    asked = count()
    slow = limits.slots - 1

    def lengths(_):
        return 10**6 if next(asked) == slow else 1

    outcome = Simulation(
        plan(limits=limits, lengths=lengths, running=10**3, steps=limits.max_age + 1, learner_tokens_per_second=1e9)
    ).play()
    assert max(outcome.ages) == limits.max_age


@given(LIMITS, st.integers(0, 2**32), st.sampled_from([0.02, 0.2, 0.5]))
@settings(max_examples=60)
def test_a_straggler_wedges_nothing_past_its_deadline(limits, seed, share):
    """Groups that never end are closed at their deadline; what waited for them goes on then."""
    deadline = 100.0

    def lengths(draw):
        return FOR_EVER if draw.random() < share else 5

    many = plan(limits=limits, lengths=lengths, running=10**6, deadline_seconds=deadline, seed=seed, steps=10)
    outcome = Simulation(many).play()
    assert len(outcome.step_ends) == many.steps
    step = limits.groups_per_step * 5 / many.learner_tokens_per_second
    assert outcome.latest_closing <= step + 1e-6, "a learner looks at what is overdue after its step, at the latest"
    rounds = outcome.closed["expired"] + 1  # at worst one waits for the other
    assert max(b - a for a, b in pairwise([0.0, *outcome.step_ends])) <= rounds * (deadline + 5 + step)


def test_a_straggler_without_a_deadline_stops_the_run():
    """What the deadline is for."""
    with pytest.raises(DeadlockError, match="after 0 of 30 steps"):
        Simulation(plan(lengths=lambda _: FOR_EVER, running=10**6)).play()


def test_a_run_is_a_function_of_its_plan():
    def long_tail(draw):
        return 1 + int(draw.lognormvariate(3, 1.5))

    chosen = {"lengths": long_tail, "engines": 3, "group_size": 3, "filtered": 0.2}
    first, second = (Simulation(plan(seed=7, **chosen)).play() for _ in range(2))
    assert first == second
    assert first != Simulation(plan(seed=8, **chosen)).play()


def test_an_engine_slows_with_its_samples_and_speeds_up_as_they_leave():
    """Two samples of 10 and 30 tokens, decoded at 1 s a step alone and 2 s together: 10 * 2 + 20 * 1 seconds."""
    lengths = iter([10, 30])
    outcome = Simulation(
        plan(
            limits=AdmissionLimits(0, 1, 1.0),
            group_size=2,
            lengths=lambda _: next(lengths),
            steps=1,
            decode_seconds_more=1.0,
            learner_tokens_per_second=40.0,
        )
    ).play()
    assert outcome.seconds == pytest.approx(10 * 2 + 20 + 40 / 40)


def test_asynchrony_gains_what_the_slowest_costs():
    """One sample in ten takes twenty times as long: a synchronous step waits for it with idle engines and learner."""
    common = {
        "lengths": lambda draw: 2000 if draw.random() < 0.1 else 100,
        "engines": 4,
        "running": 8,
        "steps": 40,
        "decode_seconds": 0.01,
        "learner_tokens_per_second": 3000.0,
        "placement": "idle",
    }
    synchronous, asynchronous = (
        Simulation(plan(limits=AdmissionLimits(staleness, 16, 0.3), **common)).play().tokens_per_second(skip=10)
        for staleness in (0, 4)
    )
    assert asynchronous > 2 * synchronous
