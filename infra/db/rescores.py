"""Writes the scores of a rescore to Postgres, in addition to those that the run was trained on.

Invariant: writing a record twice is the same as once. Neither `prompt_stats` nor `stream_offsets` changes: selection
uses the scores that were trained on, and a sink's offsets are those of its own topic.
"""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import Engine

from infra.db.sink import ScoredRecord, insert_new

RESCORED = "rescored"
"""Route of these rows in `scores`: a query for the scores of a run's own routes does not return them."""


def write_rescored(engine: Engine, records: Sequence[ScoredRecord]) -> int:
    """Returns how many rows were new. Raises sqlalchemy.exc.OperationalError if the database is gone; none of these
    records is written then.
    """
    if not records:
        return 0
    with engine.begin() as connection:
        return len(insert_new(connection, [replace(record, route=RESCORED, shadow=True) for record in records]))
