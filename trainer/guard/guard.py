"""Tests each evaluation for reward hacking, once, and says what follows from its alarms.

Invariants
- An evaluation is tested once, in the order of versions, when its second scores are in the database or were awaited
  for `selector.guard.wait_seconds`. So the test's rate of false alarms holds, however often the selector restarts.
- What follows from an alarm is a function of the table `guard_checks` and the settings. An alarm stays for the rest of
  the run, unless a learner takes back the version at which it was raised.
- The cost of a look grows with the responses of at most `_COMPARED` evaluations, not with the run's scores.
"""

import logging
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from infra.db.second_scores import HeldOutVerdicts, read_heldout_verdicts
from infra.metrics import metrics
from infra.settings.tree import Settings
from trainer.guard.confirmation import ConfirmationRule, check_latest
from trainer.guard.guard_rows import (
    FinishedEvaluation,
    finished_evaluations,
    read_checks,
    read_evaluations,
    training_routes,
    write_checks,
)
from trainer.guard.series import OVERALL, SeriesKey, build_series

log = logging.getLogger(__name__)

_WAIT_SECONDS = 1.0
"""Interval between two counts of the second scores of an evaluation that lacks some: far below the seconds of a step,
and far above those of a count.
"""
_COMPARED = 32
"""Earlier evaluations that one is compared with: the first and the latest. More would cost time and add little."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardAlarm:
    """The first alarm of a series."""

    key: SeriesKey
    version: int
    since_version: int
    reward_change: float
    true_change: float

    def __str__(self) -> str:
        return (
            f"reward hacking is suspected at version {self.version} (route {self.key.route}, domain {self.key.domain})"
            f": since version {self.since_version} the reward changed by {self.reward_change:+.3f}, and the true score "
            f"of held-out responses by {self.true_change:+.3f}"
        )


@dataclass(slots=True)
class Guard:
    """`look` is called in every round of training."""

    settings: Settings
    clock: Callable[[], float] = time.monotonic
    _look_again_at: float = field(default=float("-inf"))
    _alarms: tuple[GuardAlarm, ...] | None = None
    _without_series: set[str] = field(default_factory=set)
    """Labels of evaluations of which no domain is trained on."""

    def look(self, connection: Connection) -> Sequence[GuardAlarm]:
        """Tests the evaluations that are complete; returns the run's alarms so far."""
        if self.settings.selector.guard.action == "off":
            return ()
        if self._alarms is None:
            self._show(connection)
        while self.clock() >= self._look_again_at and self._check_next(connection):
            self._show(connection)
        return self._alarms or ()

    def dispatch_factors(self, connection: Connection) -> dict[str, float]:
        """Factors on the dispatch shares of the domains that an alarm names; none if alarms do not reweight."""
        settings = self.settings.selector.guard
        if settings.action != "reweight" or not self._alarms:
            return {}
        named = {alarm.key for alarm in self._alarms}
        return {
            domain: settings.factor
            for domain, route in training_routes(connection, self._run_id).items()
            if named & {SeriesKey(route, domain), SeriesKey(route, OVERALL)}
        }

    def forget(self) -> None:
        """Makes the next look read the alarms again, because a learner took versions back."""
        self._alarms = None
        self._without_series.clear()

    def _check_next(self, connection: Connection) -> bool:
        """Tests the oldest evaluation that is not tested yet, if it is complete; returns whether it was."""
        evaluations = finished_evaluations(connection, self._run_id)
        number = next((number for number, one in enumerate(evaluations) if not self._is_done(one)), None)
        if number is None:
            return False
        latest, settings = evaluations[number], self.settings.selector.guard
        routes = training_routes(connection, self._run_id)
        if not routes:
            return False
        if latest.age_seconds < settings.wait_seconds and self._lacks_second_scores(
            read_heldout_verdicts(connection, self._run_id, [latest.label])
        ):
            self._look_again_at = self.clock() + _WAIT_SECONDS
            return False
        recent = max(1, number + 1 - _COMPARED)
        compared = read_evaluations(connection, self._run_id, [*evaluations[:1], *evaluations[recent : number + 1]])
        series = {
            key: points for key, points in build_series(compared, routes).items() if points[-1].label == latest.label
        }
        rates = split_rate(series, settings.false_alarm_rate)
        checks = [
            (key, points[-1], check_latest(points, self._rule(rates[key]), number)) for key, points in series.items()
        ]
        write_checks(connection, self._run_id, checks)
        if not checks:
            self._without_series.add(latest.label)
        return True

    def _rule(self, rate: float) -> ConfirmationRule:
        settings = self.settings.selector.guard
        return ConfirmationRule(false_alarm_rate=rate, margin=settings.margin, confirmed_share=settings.confirmed_share)

    def _is_done(self, evaluation: FinishedEvaluation) -> bool:
        return evaluation.checked or evaluation.label in self._without_series

    def _lacks_second_scores(self, verdicts: Sequence[HeldOutVerdicts]) -> bool:
        """Whether second scores may still come."""
        shadowed = self.settings.router.shadow_share > 0
        crosscheck = self.settings.crosscheck
        return any(
            row.twice < row.responses and (shadowed or crosscheck.scorer_of(row.domain, row.route) is not None)
            for row in verdicts
        )

    def _show(self, connection: Connection) -> None:
        """Reads the alarms, logs those that this process has not logged, and sets the metrics."""
        rows = read_checks(connection, self._run_id)
        known, self._alarms = self._alarms or (), first_alarms(rows)
        for alarm in self._alarms:
            if alarm not in known:
                log.error("%s; selector.guard.action = %s", alarm, self.settings.selector.guard.action)
        for row in rows:
            _set_metrics(row)
        for alarm in self._alarms:
            metrics.guard_alarm.labels(alarm.key.route, alarm.key.domain).set(1)
            metrics.guard_alarm_version.labels(alarm.key.route, alarm.key.domain).set(alarm.version)

    @property
    def _run_id(self) -> str:
        return self.settings.run.id


def split_rate(series: Collection[SeriesKey], rate: float) -> dict[SeriesKey, float]:
    """The rate of false alarms of each series; their sum is at most `rate`. Series over all domains of a route share
    one half, because they have the most prompts and see a weakness of the scorer first; the rest share the other.
    """
    pooled = [key for key in series if key.domain == OVERALL]
    single = [key for key in series if key.domain != OVERALL]
    half = rate / 2 if pooled and single else rate
    return {key: half / len(own) for own in (pooled, single) for key in own}


def first_alarms(rows: Sequence[Any]) -> tuple[GuardAlarm, ...]:
    """The first alarm of each series, oldest first. `rows`: rows of `guard_checks`, oldest first."""
    found: dict[SeriesKey, GuardAlarm] = {}
    for row in rows:
        if row.alarm:
            key = SeriesKey(row.route, row.domain)
            alarm = GuardAlarm(
                key=key,
                version=row.version,
                since_version=row.since_version,
                reward_change=row.reward_change,
                true_change=row.true_change,
            )
            found.setdefault(key, alarm)
    return tuple(found.values())


def _set_metrics(row: Any) -> None:
    labels = row.route, row.domain
    for gauge, value in (
        (metrics.guard_credited, row.credited),
        (metrics.guard_confirmed, row.confirmed),
        (metrics.guard_z, row.z),
        (metrics.guard_z_limit, row.z_limit),
    ):
        if value is not None:
            gauge.labels(*labels).set(value)
    metrics.guard_alarm.labels(*labels).set(0)
