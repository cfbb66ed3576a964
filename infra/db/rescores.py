"""Scores of a rescore into Postgres, beside those that the run was trained on.

Invariant: writing a record twice is as once, and neither `prompt_stats` nor `stream_offsets` moves: selection stands
on the scores that were trained on, and a sink's offsets are of its own topic.
"""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import Engine

from infra.db.sink import ScoredRecord, insert_new

RESCORED = "rescored"
"""The route of these rows in `scores`: what asks for the scores of a run's own routes does not meet them."""


def write_rescored(engine: Engine, records: Sequence[ScoredRecord]) -> int:
    """How many rows were new. Raises sqlalchemy.exc.OperationalError where the database is gone: nothing of these
    records was written then.
    """
    if not records:
        return 0
    with engine.begin() as connection:
        return len(insert_new(connection, [replace(record, route=RESCORED, shadow=True) for record in records]))
