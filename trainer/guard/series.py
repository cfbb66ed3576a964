"""Turns the verdicts on held-out responses into the series that the guard tests: one per route and domain, and one per
route over all of its domains. Pure.

A series belongs to the route that rewards the domain in training. On a held-out response, the verdict of that route
says whether training would have credited it, and the other verdict counts as true:
- Held-out prompts on the same route as in training: their own verdict credits, and the second scorer's is true.
- Held-out prompts on another route, such as a verifier that measures what a judge rewards: their own verdict is true,
  and the second scorer's credits.
- Without a second verdict, their own verdict is true, and nothing credits.

Invariant: all prompts of a domain and evaluation play the same parts. If some have second scores and others have none,
only those that have them count.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from infra.db.second_scores import HeldOutVerdicts
from trainer.guard.confirmation import HeldOutPoint

OVERALL = "overall"


@dataclass(frozen=True, slots=True, order=True)
class SeriesKey:
    route: str
    """The route that rewards the domain in training."""
    domain: str
    """A domain, or `overall`: all domains of the route."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOutEvaluation:
    """One finished evaluation, as it is in the database."""

    label: str
    version: int
    verdicts: Sequence[HeldOutVerdicts]
    rewards: Mapping[str, float]
    """Domain -> mean reward of the training groups since the evaluation before."""


def build_series(
    evaluations: Sequence[HeldOutEvaluation], training_routes: Mapping[str, str]
) -> dict[SeriesKey, list[HeldOutPoint]]:
    """Points in the order of the evaluations. Domains that are not trained on are left out. `training_routes`: domain
    -> route. A route with a single domain has no series over all of them.
    """
    series: dict[SeriesKey, list[HeldOutPoint]] = defaultdict(list)
    for evaluation in evaluations:
        domains: dict[str, list[HeldOutVerdicts]] = defaultdict(list)
        for row in evaluation.verdicts:
            domains[row.domain].append(row)
        by_route: dict[str, list[HeldOutPoint]] = defaultdict(list)
        for domain, rows in sorted(domains.items()):
            route = training_routes.get(domain)
            if route is None:
                continue
            point = _make_point(evaluation, rows, route, evaluation.rewards.get(domain))
            series[SeriesKey(route, domain)].append(point)
            by_route[route].append(point)
        for route, points in by_route.items():
            if len(points) > 1:
                series[SeriesKey(route, OVERALL)].append(_pool(points))
    return dict(series)


def _make_point(
    evaluation: HeldOutEvaluation, rows: Sequence[HeldOutVerdicts], route: str, reward: float | None
) -> HeldOutPoint:
    twice = [row for row in rows if row.twice]
    confirmed: dict[str, float] = {}
    credited: dict[str, float] = {}
    for row in twice or rows:
        if not twice or row.passed_twice_scored is None or row.passed_by_second is None:
            confirmed[row.prompt_id] = row.passed
        elif row.route == route:
            credited[row.prompt_id], confirmed[row.prompt_id] = row.passed_twice_scored, row.passed_by_second
        else:
            credited[row.prompt_id], confirmed[row.prompt_id] = row.passed_by_second, row.passed_twice_scored
    by = sorted({row.scorers for row in twice or rows})
    second = sorted({row.second_scorers for row in twice if row.second_scorers})
    return HeldOutPoint(
        label=evaluation.label,
        version=evaluation.version,
        confirmed=confirmed,
        credited=credited,
        reward=reward,
        scorers=f"{','.join(by)} and {','.join(second)}" if second else ",".join(by),
    )


def _pool(points: Sequence[HeldOutPoint]) -> HeldOutPoint:
    """Over domains. Those without a second scorer are left out if another has one, since theirs is another test."""
    paired = [point for point in points if point.credited] or points
    rewards = [point.reward for point in paired if point.reward is not None]
    return HeldOutPoint(
        label=paired[0].label,
        version=paired[0].version,
        confirmed={prompt: value for point in paired for prompt, value in point.confirmed.items()},
        credited={prompt: value for point in paired for prompt, value in point.credited.items()},
        reward=fmean(rewards) if rewards else None,
        scorers="; ".join(sorted({point.scorers for point in paired})),
    )
