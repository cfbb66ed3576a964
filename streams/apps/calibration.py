"""Reads from Postgres how far the routes agree, and sets the metrics, periodically.

Invariant: reading takes at most 2 % of the time, however many scores there are: the longer a read takes, the rarer
reads are. A read that fails is logged and tried again; scoring does not depend on it.
"""

import asyncio
import logging
import time

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from infra.db.calibration import Calibration, read_calibration
from infra.metrics import metrics

log = logging.getLogger(__name__)

_EVERY_SECONDS = 15.0
"""Agreement changes slowly over a run; a reading every 15 s is enough to see it."""
_MAX_TIME_FRACTION = 0.02


async def keep_calibration(engine: Engine, run_id: str, every_seconds: float = _EVERY_SECONDS) -> None:
    """Runs until it is cancelled."""
    while True:
        started = time.monotonic()
        try:
            rows = await asyncio.to_thread(_read_rows, engine, run_id)
        except SQLAlchemyError as error:
            log.warning("calibration is not read: %s", error)
        else:
            for row in rows:
                set_metrics(row)
        await asyncio.sleep(max(every_seconds, (time.monotonic() - started) / _MAX_TIME_FRACTION))


def set_metrics(row: Calibration) -> None:
    labels = (row.domain, row.verifier, row.judge)
    metrics.calibration_pairs.labels(*labels).set(row.pairs)
    metrics.calibration_agreement.labels(*labels).set(row.agreement)
    metrics.calibration_mean_difference.labels(*labels).set(row.mean_difference)
    if row.over_scoring is not None:
        metrics.calibration_over_scoring.labels(*labels).set(row.over_scoring)
    if row.under_scoring is not None:
        metrics.calibration_under_scoring.labels(*labels).set(row.under_scoring)


def _read_rows(engine: Engine, run_id: str) -> list[Calibration]:
    with engine.connect() as connection:
        return list(read_calibration(connection, run_id))
