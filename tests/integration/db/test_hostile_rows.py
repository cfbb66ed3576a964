"""Postgres takes every row that the difficulty stage gives it, and no verdict takes its batch along."""

import asyncio
import math
from dataclasses import replace

import pytest
from sqlalchemy import select
from support.hostile_messages import drawn, good_record, hostile_records
from support.messages import rollout, verdict
from support.score_rows import record

from infra.db.models import Score
from infra.db.sink import ScoreSink
from streams.apps.difficulty_sink import DifficultyHandler


def test_every_hostile_verdict_is_a_row_or_a_dead_letter_and_the_others_are_rows(engine):
    handler = DifficultyHandler(
        stage="difficulty", sink=ScoreSink(engine, decay=0.98, consumer_group="difficulty"), dead_letters="dead-letters"
    )
    hostile = drawn(hostile_records(verdict(rollout(0, 0), 1.0), "scored"), 500)
    good = [good_record(verdict(rollout(7, index), 1.0), "scored", index) for index in range(2)]
    outputs = asyncio.run(handler.handle([good[0], *hostile, good[1]]))
    with engine.connect() as connection:
        stored = set(connection.scalars(select(Score.rollout_id)))
    assert {"run:7/0", "run:7/1"} <= stored
    assert len(outputs) > 100


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e12, -1e12, 1e300])
@pytest.mark.parametrize("name", ["scored_at", "seconds", "judged", "surprisal", "policy_version", "response_tokens"])
def test_a_row_has_no_number_that_its_column_cannot_hold(name, value):
    holds_any_finite_number = name in ("seconds", "judged", "surprisal") and math.isfinite(value)
    if holds_any_finite_number:
        assert getattr(replace(record(0, 1.0), **{name: value}), name) == value
        return
    with pytest.raises(ValueError, match=f"rollout r:0/0: {name} "):
        replace(record(0, 1.0), **{name: value})
