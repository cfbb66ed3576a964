"""Sets the metrics of how far the routes agree, as read from Postgres."""

from sqlalchemy import Connection, Engine

from infra.db.calibration import Calibration, read_calibration
from infra.metrics import metrics
from streams.apps.periodic_reading import EVERY_SECONDS, keep_reading


async def keep_calibration(engine: Engine, run_id: str, every_seconds: float = EVERY_SECONDS) -> None:
    """Runs until it is cancelled."""
    await keep_reading(engine, "calibration", lambda connection: _set_all(connection, run_id), every_seconds)


def _set_all(connection: Connection, run_id: str) -> None:
    for row in read_calibration(connection, run_id):
        set_metrics(row)


def set_metrics(row: Calibration) -> None:
    labels = (row.domain, row.verifier, row.judge)
    metrics.calibration_pairs.labels(*labels).set(row.pairs)
    metrics.calibration_agreement.labels(*labels).set(row.agreement)
    metrics.calibration_mean_difference.labels(*labels).set(row.mean_difference)
    if row.over_scoring is not None:
        metrics.calibration_over_scoring.labels(*labels).set(row.over_scoring)
    if row.under_scoring is not None:
        metrics.calibration_under_scoring.labels(*labels).set(row.under_scoring)
