"""Asynchronous against synchronous: what the table of `tests/bench/async_against_sync.py` is computed from."""

import pytest
from bench.async_results import (
    Run,
    compared,
    default_target,
    draw,
    interval,
    run_of,
    seconds_to,
    table,
)


def run(staleness: int, seed: int, scores: list[float], seconds_a_step: float = 10.0) -> Run:
    curve = tuple((20 * place, 20 * place * seconds_a_step, score) for place, score in enumerate(scores))
    steps = 20 * (len(scores) - 1)
    return Run(staleness, seed, curve, steps, steps * seconds_a_step, 100.0, float(staleness), staleness, (2.0, 1.0), 0)


RUNS = [
    run(0, 0, [0.2, 0.4, 0.6]),
    run(0, 1, [0.2, 0.3, 0.6]),
    run(4, 0, [0.2, 0.4, 0.6], seconds_a_step=5.0),
    run(4, 1, [0.2, 0.3, 0.5], seconds_a_step=5.0),
]


def test_a_score_is_reached_between_two_measurements():
    assert seconds_to(RUNS[0], 0.5) == pytest.approx(300)
    assert seconds_to(RUNS[0], 0.2) == 0
    assert seconds_to(RUNS[0], 0.9) is None


def test_the_target_is_one_that_every_bound_reaches():
    assert default_target(RUNS) == pytest.approx(0.2 + 0.8 * 0.35)


def test_rows_compare_seed_by_seed_with_the_synchronous_run():
    synchronous, asynchronous = compared(RUNS, 0.4)
    assert (synchronous["speedup"], synchronous["difference"]) == (None, None)
    assert asynchronous["seconds_to_target"] == [100, 150]
    assert asynchronous["speedup"] == pytest.approx((200 / 100 + (200 + 200 / 3) / 150) / 2, abs=1e-3)
    assert asynchronous["difference"] == pytest.approx(-0.05)
    low, high = asynchronous["difference_ci95"]
    assert low < -0.05 < 0 < high
    assert "| 4 | 0, 1 | 40, 40 | 5.00 |" in table([synchronous, asynchronous])


def test_an_interval_is_student_s():
    assert interval([1.0, 2.0, 3.0]) == pytest.approx((2 - 4.303 / 3**0.5, 2 + 4.303 / 3**0.5))
    assert interval([1.0]) is None


def test_a_run_is_read_from_its_files():
    summary = {
        "run": "r",
        "heldout_by_version": [
            {"version": 0, "seconds": 0.0, "overall": 0.1, "complete": True},
            {"version": 2, "seconds": 8.0, "overall": 0.9, "complete": False},
            {"version": 4, "seconds": 20.0, "overall": 0.3, "complete": True},
        ],
        "policy_versions": 4,
        "phase_seconds": {"train": 20.0},
        "audit": {"violations": []},
    }
    steps = [{"targets": 50, "token_staleness": 1.0, "staleness": [0, age], "entropy": 2.0 - age} for age in (0, 1)]
    found = run_of(1, 3, summary, steps)
    assert found.curve == ((0, 0.0, 0.1), (4, 20.0, 0.3))
    assert (found.tokens_per_second, found.oldest, found.entropy) == (5.0, 1, (2.0, 1.0))
    with pytest.raises(ValueError, match="eval_every_versions"):
        run_of(1, 3, summary | {"heldout_by_version": []}, steps)


def test_curves_of_score_over_time_are_drawn(tmp_path):
    draw(RUNS, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes()[:4] == b"\x89PNG"
