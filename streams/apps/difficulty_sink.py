"""The difficulty sink: scored trajectories as rows in Postgres. What can never be stored goes to the dead letters."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from infra import metrics
from infra.db.sink import ScoredRecord
from streams.arrays import TOKEN_DTYPE
from streams.codec import decode
from streams.dead_letters import dead_letter
from streams.messages import ScoredTrajectory, Source
from streams.records import Output, Record
from streams.route_headers import route_of
from streams.validate import check_rollout
from workers.scoring.veto import JUDGED


class Sink(Protocol):
    """`infra.db.sink.ScoreSink`: blocking, and a batch written twice has the effect of once."""

    def write(self, records: Sequence[ScoredRecord]) -> int: ...


@dataclass(frozen=True, kw_only=True)
class Difficulty:
    stage: str
    sink: Sink
    dead_letters: str
    clock: Callable[[], float] = field(default=time.time)

    async def handle(self, records: list[Record]) -> list[Output]:
        """Raises sqlalchemy.exc.OperationalError where the database is gone; nothing of the batch is written then."""
        rows: list[ScoredRecord] = []
        outputs: list[Output] = []
        now = self.clock()
        for record in records:
            try:
                scored = decode(record.value, ScoredTrajectory)
                rows.append(row_of(record, scored))
            except ValueError as error:  # DecodeError too
                outputs.append(dead_letter(record, error, self.stage, self.dead_letters, now))
            else:
                metrics.end_to_end_seconds.labels(self.stage).observe(max(0.0, now - scored.rollout.timings.dispatched))
        await asyncio.to_thread(self.sink.write, rows)
        return outputs


def judged_of(scored: ScoredTrajectory) -> float | None:
    """What the judge said of a vetoed rollout, where it was asked."""
    value = scored.details.get(JUDGED)
    return float(value) if isinstance(value, int | float) else None


def row_of(record: Record, scored: ScoredTrajectory) -> ScoredRecord:
    """Raises ValueError where the trajectory can never be stored."""
    rollout = scored.rollout
    check_rollout(rollout)
    made = [segment for segment in rollout.segments if segment.source is Source.POLICY]
    return ScoredRecord(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        rollout_id=rollout.rollout_id,
        route=str(scored.route),
        scorer=scored.scorer,
        scorer_version=scored.scorer_version,
        run_id=rollout.run_id,
        group_id=rollout.group_id,
        prompt_id=rollout.prompt_id,
        domain=rollout.domain,
        purpose=str(rollout.purpose),
        policy_version=max((span.version for span in rollout.spans), default=0),
        score=scored.score,
        status=str(scored.status),
        why=scored.why,
        text=rollout.text,
        response_tokens=sum(len(segment.token_ids) for segment in made) // TOKEN_DTYPE.itemsize,
        seconds=scored.seconds,
        scored_at=scored.scored_at,
        shadow=scored.route is not route_of(rollout.question),
        judged=judged_of(scored),
    )
