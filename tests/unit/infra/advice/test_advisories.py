"""Each advisory at its threshold, and what is said of a run that trains nothing."""

import pytest

from infra.advice.advisories import advise, why_untrained
from infra.advice.measures import Measures, ScorerMeasures, all_float32
from infra.settings.load import with_changes
from infra.settings.tree import Settings

HEALTHY = {
    "phase": "train",
    "purpose": "train",
    "trained": 40,
    "silent_seconds": 20.0,
    "outcomes": {"trained": 50, "filtered (zero_variance)": 14},
    "responses": 512,
    "zero": 0.4,
    "full": 0.3,
    "cut_off": 0.05,
    "alike": 0.3,
    "max_new_tokens": 32,
    "idle": 0.1,
    "busy": 0.7,
    "logprob_diff": 0.002,
}


def scorer(**changes) -> ScorerMeasures:
    return ScorerMeasures(**({"verdicts": 100, "seconds": 0.1, "infra_errors": 0.0, "timeout_seconds": 5.0} | changes))


def kinds(**changes) -> list[str]:
    return [advisory.kind for advisory in advise(Measures(**(HEALTHY | changes)))]


def test_a_healthy_run_is_left_in_peace() -> None:
    assert kinds(scorers={"rtv": scorer()}) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"zero": 1.0}, ["all_zero"]),
        ({"zero": 0.98}, []),
        ({"zero": 1.0, "responses": 31}, []),
        ({"zero": 1.0, "alike": 1.0}, ["all_zero"]),
        ({"alike": 0.95}, ["all_alike"]),
        ({"alike": None}, []),
        ({"cut_off": 0.1}, ["cut_off"]),
        ({"cut_off": 0.95, "zero": 1.0}, ["all_zero"]),
        ({"idle": 0.6}, ["engines_idle"]),
        ({"idle": 0.6, "phase": "drain"}, []),
        ({"idle": 0.6, "busy": 0.95}, ["learner_limits"]),
        ({"idle": 0.6, "busy": 0.95, "phase": "eval_after"}, []),
        ({"idle": 0.1, "busy": 0.99}, []),
        ({"idle": None, "busy": None}, []),
        ({"logprob_diff": 0.113}, ["policies_differ"]),
        ({"logprob_diff": 0.002, "float32": True}, ["policies_differ"]),
        ({"scorers": {"genrm": scorer(infra_errors=0.05)}}, ["scorer_down"]),
        ({"scorers": {"genrm": scorer(seconds=2.5)}}, ["scorer_slow"]),
        ({"waiting": ("genrm",)}, ["scorer_down"]),
        ({"away": {"broker": 30.0}}, ["part_away"]),
        ({"away": {"broker": 1.0}}, []),
        ({"silent_seconds": 301.0}, ["nothing_trained"]),
        ({"silent_seconds": None, "phase": "finished", "trained": 0}, ["nothing_trained"]),
        ({"silent_seconds": None, "phase": "finished"}, []),
        ({"silent_seconds": None, "phase": "finished", "trained": 0, "purpose": "eval"}, []),
    ],
)
def test_an_advisory_comes_at_its_threshold(changes, expected) -> None:
    assert kinds(**changes) == expected


def test_a_run_that_trains_nothing_says_why_and_what_to_do() -> None:
    silent = {
        "silent_seconds": 516.0,
        "trained": 0,
        "outcomes": {"filtered (zero_variance)": 58},
        "zero": 1.0,
        "full": 0.0,
        "cut_off": 0.95,
        "alike": 1.0,
    }
    first = advise(Measures(**(HEALTHY | silent)))[0]
    assert first.what == (
        "nothing was trained for 9 min (58 filtered (zero_variance); responses: 100% scored 0, 95% cut off)"
    )
    assert "raise rollout.sampling.max_new_tokens (32)" in first.mend
    short = advise(Measures(**(HEALTHY | silent | {"cut_off": 0.0})))[0]
    assert "rewardstream why" in short.mend
    expired = advise(Measures(**(HEALTHY | silent | {"cut_off": 0.0, "outcomes": {"expired": 9}})))[0]
    assert "deadline_seconds" in expired.mend
    waiting = advise(Measures(**(HEALTHY | silent | {"cut_off": 0.0, "outcomes": {}, "open": 5})))[0]
    assert "5 groups are in flight" in waiting.mend


def test_no_closed_group_is_said_as_such() -> None:
    assert why_untrained(Measures(phase="train")) == "no group closed"


@pytest.mark.parametrize(
    ("model", "learner", "expected"),
    [
        ({}, {}, False),
        ({"dtype": "float32"}, {}, False),
        ({}, {"autocast": False}, False),
        ({"dtype": "float32"}, {"autocast": False}, True),
        ({"dtype": "float32"}, {"autocast": False, "param_dtype": "bfloat16"}, False),
    ],
)
def test_the_float32_limit_is_for_runs_that_compute_nothing_in_bfloat16(model, learner, expected):
    assert all_float32(with_changes(Settings(), model=model, learner=learner)) == expected
