"""summary.json on hand-computed data, and the statistics below it."""

from dataclasses import replace
from datetime import timedelta

import pytest
from support.report_rows import FACTS, START, group, record, response

from infra.report.summary import heldout, phase_seconds, summarise
from infra.report.summary_statistics import distinct_2, opening_share, percentiles, running_mean


def test_heldout_means_are_over_prompts_of_means_over_samples() -> None:
    before = [response("x", "before", 0.0), response("x", "before", 1.0), response("y", "before", 0.0, "b")]
    after = [response("x", "after", 1.0), response("y", "after", 0.5, "b")]
    result = heldout([*before, *after], {"x": 0.25, "elsewhere": 1.0})
    assert result["overall"] | {"delta_ci95": None} == {
        "base": 0.25,
        "before": 0.25,
        "after": 0.75,
        "delta": 0.5,
        "delta_ci95": None,
        "before_ci95": [0.25, 0.25],
        "after_ci95": [0.75, 0.75],
        "prompts": 2,
    }
    assert result["by_domain"]["a"]["delta"] == 0.5
    assert result["by_domain"]["b"] | {"base": 0} == {
        "base": 0,
        "before": 0.0,
        "after": 0.5,
        "delta": 0.5,
        "delta_ci95": [0.5, 0.5],
        "before_ci95": [0.0, 0.0],
        "after_ci95": [0.5, 0.5],
        "prompts": 1,
    }
    assert result["by_skill"] == {}


def test_heldout_results_are_told_by_skill_too_whatever_the_domain() -> None:
    rows = [
        response("x", label, score, domain, skill=skill)
        for domain, skill, scores in (("a", "stem", (0.0, 1.0)), ("b", "stem", (0.5, 0.5)), ("c", "coding", (1.0, 0.0)))
        for label, score in zip(("before", "after"), scores, strict=True)
    ]
    rows = [replace(row, prompt_id=row.domain) for row in rows]
    result = heldout([*rows, response("z", "before", 0.5), response("z", "after", 0.5)], {})
    assert list(result["by_skill"]) == ["stem", "coding"]
    assert (result["by_skill"]["stem"]["delta"], result["by_skill"]["stem"]["prompts"]) == (0.5, 2)
    assert result["by_skill"]["coding"]["delta_ci95"] == [-1.0, -1.0]
    assert result["overall"]["prompts"] == 4


def test_a_prompt_without_a_score_on_one_side_is_not_in_the_difference() -> None:
    rows = [
        response("x", "before", 0.0),
        response("x", "after", 1.0),
        response("y", "before", 1.0),
        response("y", "after", None),
    ]
    overall = heldout(rows, {})["overall"]
    assert (overall["before"], overall["after"], overall["delta"], overall["prompts"]) == (0.5, 1.0, 1.0, 1)


def test_a_run_that_was_not_measured_has_no_difference() -> None:
    overall = heldout([response("x", "before", 1.0)], {})["overall"]
    assert (overall["before"], overall["after"], overall["delta"], overall["delta_ci95"]) == (1.0, None, None, None)
    assert (overall["before_ci95"], overall["after_ci95"]) == ([1.0, 1.0], None)


def test_groups_are_counted_by_outcome_and_open_ones_are_told() -> None:
    groups = (
        group(0),
        group(1, staleness=3),
        group(2, outcome="filtered", reason="zero_variance", staleness=None),
        group(3, outcome=None, closed_at=None, staleness=None),
    )
    summary = summarise(record(groups), [], FACTS)
    assert summary["groups"] == {"trained": 2, "filtered": 1, "stale": 0, "expired": 0, "failed": 0, "open": 1}
    assert summary["filtered_by_reason"] == {"zero_variance": 1}
    assert summary["staleness"] == {"p50": 1.0, "p99": 3.0, "max": 3.0}


def test_phases_are_spans_of_their_groups() -> None:
    groups = (
        group(0, purpose="eval", label="before"),
        group(4, purpose="eval", label="before"),
        group(10, purpose="assess"),
        group(20),
        group(30),
        group(40, purpose="eval", label="after"),
    )
    run = replace(record(groups), train_started_at=START + timedelta(seconds=15))
    assert phase_seconds(run, 7.0) == {"prepare": 7.0, "evaluate": 5.0 + 1.0, "assess": 1.0, "train": 16.0}


def test_the_time_for_which_a_run_was_down_is_in_no_phase() -> None:
    run = replace(record((group(20), group(3600))), train_started_at=START + timedelta(seconds=15))
    start = START.timestamp()
    down = ((start - 9.0, start + 5.0), (start + 30.0, start + 3590.0), (start + 4000.0, start + 5000.0))
    assert phase_seconds(run, 0.0)["train"] == 3586.0
    assert phase_seconds(run, 0.0, down)["train"] == 3586.0 - 3560.0


def test_rates_are_over_the_training_time() -> None:
    trained = tuple(
        response("x", "", 1.0, purpose="train", outcome="trained", rollout_id=str(number)) for number in range(20)
    )
    lost = response("x", "", 1.0, purpose="train", outcome="stale", rollout_id="lost")
    history = [{"learner_tokens": 50.0}, {"learner_tokens": 100.0}, {"learner_tokens": 30.0}]
    summary = summarise(record((group(0), group(9)), (*trained, lost)), history, FACTS)
    assert summary["phase_seconds"]["train"] == 10.0
    assert summary["rollouts_per_second"] == 2.1
    assert summary["learner_response_tokens_per_second"] == 8.0
    assert summary["learner_tokens_per_second"] == 13.0  # 100 before the restart, 30 after it


def test_summary_says_what_the_command_knew() -> None:
    facts = replace(FACTS, restarts={"learner": 1, "rtv": 2}, audit={"violations": []}, prepare_report={"sft": 1})
    summary = summarise(record(), [], facts)
    assert (summary["restarts"], summary["broker"], summary["seed"]) == (3, "embedded", 3)
    assert (summary["wall_seconds"], summary["audit"], summary["prepare"]) == (100.0, {"violations": []}, {"sft": 1})


def test_percentiles_are_values_that_were_seen() -> None:
    assert percentiles([0] * 50 + [1] * 49 + [7]) == {"p50": 0.0, "p99": 1.0, "max": 7.0}
    assert percentiles([]) == {"p50": None, "p99": None, "max": None}


def test_running_mean_is_shorter_at_the_beginning() -> None:
    assert running_mean([1.0, 3.0, 5.0, 7.0], 2) == [1.0, 2.0, 4.0, 6.0]


def test_opening_share_counts_only_what_has_four_words() -> None:
    assert opening_share(["The sea is calm today", "the sea is calm", "A dog runs home", "No"]) == pytest.approx(2 / 3)
    assert opening_share([]) == 0.0


def test_distinct_2_by_hand() -> None:
    assert distinct_2(["a b a b", "b a"]) == 0.5  # ab, ba, ab, ba: two of four
    assert distinct_2(["a"]) == 0.0
