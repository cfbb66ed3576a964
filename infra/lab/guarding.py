"""What the guard saw in a laboratory run, next to what was true."""

from math import sqrt
from statistics import fmean, stdev

from sqlalchemy import Connection

from infra.lab.results import GuardPoint
from trainer.guard.confirmation import HeldOutPoint
from trainer.guard.guard_rows import finished_evaluations, read_checks, read_evaluations, training_routes
from trainer.guard.series import OVERALL, build_series


def guard_points(connection: Connection, run_id: str) -> list[GuardPoint]:
    """One per evaluation before and during training; none if the domains are on several routes."""
    evaluations = read_evaluations(connection, run_id, finished_evaluations(connection, run_id))
    series = build_series(evaluations, training_routes(connection, run_id))
    points = next((points for key, points in series.items() if key.domain == OVERALL), [])
    checks = read_checks(connection, run_id)
    found = []
    for number, point in enumerate(points):
        own = [row for row in checks if row.label == point.label]
        overall = next((row for row in own if row.domain == OVERALL), None)
        fall, error = _fall(points[:number], point)
        found.append(
            GuardPoint(
                version=point.version,
                credited=fmean(point.credited.values()) if point.credited else 0.0,
                confirmed=fmean(point.confirmed.values()),
                fall=fall,
                fall_error=error,
                z=overall and overall.z,
                limit=overall and overall.z_limit,
                alarms=sorted(row.domain for row in own if row.alarm),
            )
        )
    return found


def _fall(earlier: list[HeldOutPoint], point: HeldOutPoint) -> tuple[float, float]:
    """From the best earlier evaluation, prompt by prompt: the mean, and its standard error."""
    if not earlier:
        return 0.0, 0.0
    best = max(earlier, key=lambda one: fmean(one.confirmed.values()))
    falls = [best.confirmed[prompt] - value for prompt, value in point.confirmed.items() if prompt in best.confirmed]
    return fmean(falls), stdev(falls) / sqrt(len(falls))
