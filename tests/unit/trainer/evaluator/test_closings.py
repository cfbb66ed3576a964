"""How a group of an evaluation ends, from the rows of its verdicts."""

from datetime import UTC, datetime, timedelta

import pytest

from streams.messages import Outcome
from trainer.curriculum.group_counts import VERDICT_GRACE
from trainer.evaluator.closings import OpenGroupRows, ending

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def group(rows: int, scored: int, *, late: timedelta = timedelta(0), why: str | None = None) -> OpenGroupRows:
    mean = 0.5 if scored else None
    return OpenGroupRows("r:3", 3, samples=2, deadline=NOW - late, rows=rows, scored=scored, mean_score=mean, why=why)


@pytest.mark.parametrize(
    ("found", "set_aside", "outcome", "reason"),
    [
        (group(2, 2), None, Outcome.FILTERED, "measured"),
        (group(2, 2, late=timedelta(days=1)), "router: broken", Outcome.FILTERED, "measured"),
        (group(1, 0, why="the server is down"), None, Outcome.FAILED, "the server is down"),
        (group(2, 1), None, Outcome.FAILED, "the scorer gave no score"),
        (group(1, 1), "rollout: too long", Outcome.FAILED, "rollout: too long"),
        (group(1, 1, late=2 * VERDICT_GRACE), None, Outcome.EXPIRED, "deadline"),
    ],
)
def test_an_ending_has_its_reason(found: OpenGroupRows, set_aside: str | None, outcome: Outcome, reason: str) -> None:
    ended = ending(found, set_aside, NOW)
    assert ended is not None
    assert (ended.seq, ended.outcome, ended.reason, ended.mean_score) == (3, outcome, reason, found.mean_score)


@pytest.mark.parametrize("found", [group(0, 0), group(1, 1), group(1, 1, late=VERDICT_GRACE / 2)])
def test_what_may_still_come_is_awaited(found: OpenGroupRows) -> None:
    assert ending(found, None, NOW) is None
