"""Writes scored trajectories as rows to Postgres. A record that can never be stored goes to the dead letters."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from sqlalchemy.exc import InterfaceError, OperationalError

from infra.db.sink import ScoredRecord
from infra.metrics import metrics
from infra.outages import RETRY_SECONDS, PartWait
from streams.dead_letters import dead_letter
from streams.messages import Purpose
from streams.records import Output, Record
from streams.scored_rows import ALL_TEXTS, KeptTexts, row_of
from streams.validate import decode_scored
from workers.scoring.heartbeat import Heartbeat


class Sink(Protocol):
    """Interface of `infra.db.sink.ScoreSink`: `write` blocks, and a batch written twice has the effect of once."""

    def write(self, records: Sequence[ScoredRecord]) -> int: ...


@dataclass(frozen=True, kw_only=True)
class DifficultyHandler:
    stage: str
    sink: Sink
    dead_letters: str
    texts: KeptTexts = ALL_TEXTS
    outage_seconds: float = 0.0
    """Longest absence of the database that a batch is held for."""
    heartbeat: Heartbeat = field(default_factory=Heartbeat)
    clock: Callable[[], float] = field(default=time.time)

    async def handle(self, records: list[Record]) -> list[Output]:
        """Raises sqlalchemy.exc.OperationalError if the database stays away; then nothing of the batch was written."""
        rows: list[ScoredRecord] = []
        outputs: list[Output] = []
        now = self.clock()
        end_to_end_seconds = metrics.end_to_end_seconds.labels(self.stage)
        for record in records:
            try:
                scored = decode_scored(record)
                row = row_of(record, scored, self.texts)
            except ValueError as error:  # DecodeError too
                outputs.append(dead_letter(record, error, self.stage, self.dead_letters, now))
            else:
                rows.append(row)
                _count_surprisal(row)
                end_to_end_seconds.observe(max(0.0, now - scored.rollout.timings.dispatched))
        await self._write(rows)
        return outputs

    async def _write(self, rows: Sequence[ScoredRecord]) -> None:
        """Holds the rows while the database is away."""
        outage = PartWait("database", self.outage_seconds)
        while True:
            self.heartbeat.beat(quiet_seconds=RETRY_SECONDS)
            try:
                await asyncio.to_thread(self.sink.write, rows)
            except (OperationalError, InterfaceError) as error:
                if not outage.waits(error):
                    raise
                await asyncio.sleep(RETRY_SECONDS)
            else:
                outage.over()
                return


def _count_surprisal(row: ScoredRecord) -> None:
    if row.surprisal is not None and row.purpose == Purpose.TRAIN and not row.shadow:
        labels = row.route, row.domain
        metrics.policy_surprisal_nats_total.labels(*labels).inc(max(0.0, row.surprisal) * row.response_tokens)
        metrics.policy_surprisal_tokens_total.labels(*labels).inc(row.response_tokens)
