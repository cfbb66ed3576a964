"""Train groups with their scores in Postgres, as selector and sink write them."""

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count

from sqlalchemy import Engine, insert

from infra.db.models import Group
from infra.db.sink import ScoreSink
from support.score_rows import record

_numbers = count()


def send_group(
    engine: Engine,
    run_id: str,
    prompt_id: str,
    scores: Sequence[float | None],
    version: int,
    *,
    route: str = "rtv",
    decay: float = 0.98,
    **columns: object,
) -> str:
    """Returns the group's id."""
    seq = next(_numbers)
    group_id, now = f"{run_id}:{seq}", datetime.now(UTC)
    row = {
        "run_id": run_id,
        "seq": seq,
        "group_id": group_id,
        "prompt_id": prompt_id,
        "purpose": "train",
        "samples": len(scores),
        "label": "",
        "dispatched_version": version,
        "dispatched_lineage": 0,
        "ticket": b"",
        "ticket_digest": b"",
        "confirmed": True,
        "dispatched_at": now,
        "deadline": now,
    }
    with engine.begin() as connection:
        connection.execute(insert(Group).values(row | columns))
    rows = [
        replace(
            record(seq, score, prompt=prompt_id),
            rollout_id=f"{group_id}/{sample}",
            run_id=run_id,
            group_id=group_id,
            route=route,
            policy_version=version,
            text=f"{seq}/{sample}",  # responses that agree would be another matter
            scored_at=time.time(),
        )
        for sample, score in enumerate(scores)
    ]
    ScoreSink(engine, decay, "difficulty").write(rows)
    return group_id
