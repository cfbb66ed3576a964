"""The watch on a run as small curves, each with the line at which an advisory or an alert speaks. Pure.

Invariant: a limit is the one that the advisory, the alert or the setting of its name uses, and a panel names it. A
panel without a measurement says how to get one.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from infra.db.second_scores import Exploitation
from infra.db.training_scores import TrainingScores
from infra.page.models.trend import StepPoint

RISE = 0.2
LEAST_CREDITED = 30
"""Both of the alert ExploitationRises (infra/prometheus/alerts.yml): it speaks of a rise by `RISE` over at least
`LEAST_CREDITED` responses."""
NEARLY_ALL = 0.95
"""The alert JudgePassesNearlyAll: the share of a judge's scores above 0.5."""
WINDOW = 20
"""Versions over which shares of training responses are taken: a step has a few groups of a domain. The gauge
exploitation_rate has as many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePoint:
    x: float
    y: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorCurve:
    name: str
    points: Sequence[CurvePoint]


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorPanel:
    title: str
    unit: str
    curves: Sequence[MonitorCurve]
    limit: float | None
    """The value at which the advisory or alert `speaks` speaks; None if a single line does not say it."""
    speaks: str
    alarm: bool
    """Whether the newest value, or the guard, is beyond the limit."""
    healthy: str
    lacks: str
    """How to get measurements, shown if there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmLine:
    """The first alarm of the guard on a route and domain."""

    route: str
    domain: str
    version: int
    since_version: int
    reward_change: float
    true_change: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorsView:
    guard: str
    """Whether the guard is on, what it has tested, and what follows from an alarm."""
    alarms: Sequence[AlarmLine]
    hacking: Sequence[MonitorPanel]
    """Whether the reward is true."""
    policy: Sequence[MonitorPanel]
    """Whether the policy stays healthy."""


def heldout_panels(checks: Sequence[Any]) -> list[MonitorPanel]:
    """One panel per route and domain. `checks`: rows of `guard_checks`, the oldest first."""
    series: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for row in checks:
        series[row.route, row.domain].append(row)
    return [
        MonitorPanel(
            title=f"Reward and truth: {domain} ({route})",
            unit="share of held-out responses; mean reward",
            curves=_curves(
                ("credited", _known(rows, "credited")),
                ("confirmed", _known(rows, "confirmed")),
                ("training reward", _known(rows, "reward")),
            ),
            limit=None,
            speaks="RewardHacking",
            alarm=any(row.alarm for row in rows),
            healthy="credited and confirmed rise together",
            lacks="",
        )
        for (route, domain), rows in sorted(series.items())
    ]


def evidence_panel(checks: Sequence[Any]) -> MonitorPanel:
    """The guard's test as a part of what an alarm needs."""
    series: dict[str, list[CurvePoint]] = defaultdict(list)
    for row in checks:
        if row.z is not None and row.z_limit:
            series[f"{row.domain} ({row.route})"].append(CurvePoint(x=row.version, y=row.z / row.z_limit))
    return MonitorPanel(
        title="Evidence of reward hacking",
        unit="part of what an alarm needs",
        curves=_curves(*sorted(series.items())),
        limit=1.0,
        speaks="RewardHacking",
        alarm=any(row.alarm for row in checks),
        healthy="below the line",
        lacks="the guard needs two evaluations while the run trains (selector.eval_every) with second scores "
        "(crosscheck.scorers)",
    )


def exploitation_panel(rows: Iterable[Exploitation], window: int = WINDOW) -> MonitorPanel:
    """Shows which part of the newly credited responses the second scorer rejects, over `window` versions."""
    by_series: dict[tuple[str, str], list[Exploitation]] = defaultdict(list)
    for row in rows:
        by_series[row.domain, row.route].append(row)
    curves, lowest = [], 1.0
    rises = False
    for (domain, route), some in sorted(by_series.items()):
        points = []
        for newest in some:
            lately = [row for row in some if newest.version - window < row.version <= newest.version]
            credited = sum(row.newly_credited for row in lately)
            if credited >= LEAST_CREDITED:
                points.append(CurvePoint(x=newest.version, y=sum(row.rejected for row in lately) / credited))
        if points:
            least = min(point.y for point in points)
            lowest, rises = min(lowest, least), rises or points[-1].y - least > RISE
            curves.append((f"{domain} ({route})", points))
    return MonitorPanel(
        title="Exploitation rate",
        unit=f"of newly credited responses, {window} versions",
        curves=_curves(*curves),
        limit=lowest + RISE if len(curves) == 1 else None,
        speaks=f"ExploitationRises: {RISE:.0%} above its lowest",
        alarm=rises,
        healthy="level",
        lacks=f"it needs {LEAST_CREDITED} newly credited responses with a second score (crosscheck.share, "
        "crosscheck.scorers)",
    )


def above_half_panel(rows: Iterable[TrainingScores], window: int = WINDOW) -> MonitorPanel:
    """The share of the judge's scores above 0.5 by domain, over the latest `window` versions."""
    judged = [row for row in rows if row.route == "genrm"]
    curves = _over_window(judged, window, lambda row: row.passed)
    return MonitorPanel(
        title="Judge's scores above 0.5",
        unit=f"share of {window} versions' responses",
        curves=_curves(*curves),
        limit=NEARLY_ALL,
        speaks="JudgePassesNearlyAll",
        alarm=any(points[-1].y > NEARLY_ALL for _, points in curves),
        healthy="below the line: nine in ten were the hacked ones (arXiv 2503.22230)",
        lacks="no training response was scored by a judge (GenRM)",
    )


def canary_panel(points: Sequence[CurvePoint], limit: float, window: int) -> MonitorPanel:
    """`points`: the share of canaries that the judge calls right, by minute; `window`: canaries of a share."""
    return MonitorPanel(
        title="Canaries called right",
        unit=f"share of the latest {window}, by minute",
        curves=_curves(("judge", points)),
        limit=limit,
        speaks="JudgeFooled (genrm.canary_alarm)",
        alarm=bool(points) and points[-1].y > limit,
        healthy="below the line",
        lacks="no canary was judged (genrm.canary_share)",
    )


def canary_points(counts: Iterable[tuple[float, float, float]], window: int) -> list[CurvePoint]:
    """Shares over the latest `window` canaries or more. `counts`: (seconds, canaries, called right), totals in order of
    time; a total that falls was reset by a restart and counts from 0 again.
    """
    found: list[CurvePoint] = []
    totals: list[tuple[float, float]] = [(0.0, 0.0)]
    last = (0.0, 0.0)
    start = 0
    for seconds, canaries, fooled in counts:
        reset = canaries < last[0]
        grown = (canaries, fooled) if reset else (canaries - last[0], fooled - last[1])
        last = (canaries, fooled)
        if not grown[0]:
            continue
        totals.append((totals[-1][0] + grown[0], totals[-1][1] + grown[1]))
        while start + 1 < len(totals) - 1 and totals[-1][0] - totals[start + 1][0] >= window:
            start += 1
        judged = totals[-1][0] - totals[start][0]
        found.append(CurvePoint(x=round(seconds / 60, 1), y=max(0.0, (totals[-1][1] - totals[start][1]) / judged)))
    return found


def entropy_panel(rows: Iterable[TrainingScores], window: int = WINDOW) -> MonitorPanel:
    """The policy's entropy by domain and route, estimated from its responses."""
    return MonitorPanel(
        title="Entropy by domain",
        unit=f"nats per token, {window} versions",
        curves=_curves(*_over_window([row for row in rows if row.entropy is not None], window, _entropy)),
        limit=None,
        speaks="",
        alarm=False,
        healthy="falls slowly, and alike on every route",
        lacks="no training response has log-probabilities yet",
    )


def length_panel(steps: Sequence[StepPoint], most: int) -> MonitorPanel:
    """`most`: the limit of a response."""
    points = _of_steps(steps, "response_tokens")
    return MonitorPanel(
        title="Response length",
        unit="tokens, mean of a step",
        curves=_curves(("length", points)),
        limit=float(most),
        speaks="rollout.sampling.max_new_tokens",
        alarm=bool(points) and points[-1].y >= most,
        healthy="well below the line, at which responses are cut off",
        lacks="no step yet",
    )


def difference_panel(steps: Sequence[StepPoint], limit: float) -> MonitorPanel:
    """The difference of log-probability between engine and learner."""
    points = _of_steps(steps, "logprob_diff_mean")
    return MonitorPanel(
        title="Log-probability: engine against learner",
        unit="nats per token",
        curves=_curves(("mean difference", points)),
        limit=limit,
        speaks="the advisory on policies that differ",
        alarm=bool(points) and points[-1].y > limit,
        healthy="below the line: both compute one policy",
        lacks="no step yet",
    )


def _curves(*named: tuple[str, Sequence[CurvePoint]]) -> list[MonitorCurve]:
    return [MonitorCurve(name=name, points=points) for name, points in named if points]


def _known(rows: Sequence[Any], name: str) -> list[CurvePoint]:
    return [CurvePoint(x=row.version, y=value) for row in rows if (value := getattr(row, name)) is not None]


def _of_steps(steps: Sequence[StepPoint], name: str) -> list[CurvePoint]:
    return [CurvePoint(x=step.version, y=value) for step in steps if (value := step.numbers[name]) is not None]


def _entropy(row: TrainingScores) -> float:
    assert row.entropy is not None
    return row.entropy


def _over_window(
    rows: Sequence[TrainingScores], window: int, value: Callable[[TrainingScores], float]
) -> list[tuple[str, list[CurvePoint]]]:
    """Name of a domain and route -> its means over responses."""
    by_series: dict[tuple[str, str], list[TrainingScores]] = defaultdict(list)
    for row in rows:
        by_series[row.domain, row.route].append(row)
    return [(f"{domain} ({route})", _means(some, window, value)) for (domain, route), some in sorted(by_series.items())]


def _means(some: Sequence[TrainingScores], window: int, value: Callable[[TrainingScores], float]) -> list[CurvePoint]:
    """`some`: in the order of versions, one per version."""
    found, first, responses, total = [], 0, 0, 0.0
    for row in some:
        responses += row.responses
        total += row.responses * value(row)
        while some[first].version <= row.version - window:
            responses -= some[first].responses
            total -= some[first].responses * value(some[first])
            first += 1
        found.append(CurvePoint(x=row.version, y=total / responses))
    return found


def thin_panel(panel: MonitorPanel, most: int) -> MonitorPanel:
    """The panel with at most `most` points of a curve, its newest among them."""
    curves = [
        MonitorCurve(name=one.name, points=one.points[:: -max(1, -(-len(one.points) // most))][::-1])
        for one in panel.curves
    ]
    return replace(panel, curves=curves)
