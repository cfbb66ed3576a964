"""What is known of a run, as the numbers that advice follows from: from Postgres, the run's files, and a scrape.

Invariant: it reads only, and a part that was not measured is None, never 0.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, median, pstdev
from typing import Any

from sqlalchemy import Connection, func, select

from infra.db.models import Group, Run, Score
from infra.files.run_files import SERIES_FILE, STEPS_FILE
from infra.scalars import FlowMetrics, ScoringMetrics
from infra.scrape import Scrape
from infra.settings.tree import Settings

WINDOW_GROUPS = 64
"""The newest closed groups that are looked at: 512 responses at eight per group, so a share is known to a few
hundredths, and what was mended is forgotten after a few steps."""
_STEPS = 8
"""The newest steps that are looked at; single ones are too noisy."""
_IDLE_SECONDS = 60.0
"""The newest part of the time series that tells how busy the engines are: several steps of a small run."""
_TAIL_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ScorerMeasures:
    """The newest verdicts of one scorer."""

    verdicts: int
    seconds: float
    """Mean time of a verdict."""
    infra_errors: float
    """Fraction without a verdict."""
    timeout_seconds: float
    """Its time limit per verdict, in the settings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """Fractions are over the responses of the window, unless said otherwise."""

    phase: str
    purpose: str = ""
    """Purpose of the window's groups: `train`, or a measurement if no train group is closed; empty without groups."""
    trained: int = 0
    """Train groups that were trained on, in the whole run."""
    silent_seconds: float | None = None
    """Since a group was last trained on, or else since training began; None outside of training."""
    outcomes: Mapping[str, int] = field(default_factory=dict)
    """Outcome, and reason of filtered ones -> groups of the window."""
    open: int = 0
    """Groups in flight."""
    responses: int = 0
    zero: float = 0.0
    """Responses that scored 0."""
    full: float = 0.0
    """Responses that scored 1."""
    cut_off: float = 0.0
    """Responses as long as their limit."""
    alike: float | None = None
    """Fraction of the window's groups whose scores have no spread; None without groups of several scores."""
    rewards: Mapping[str, float] = field(default_factory=dict)
    """Domain -> mean score, of trained and filtered groups alike."""
    scorers: Mapping[str, ScorerMeasures] = field(default_factory=dict)
    max_new_tokens: int = 0
    waiting: Sequence[str] = ()
    """Stages whose scorer does not answer now."""
    away: Mapping[str, float] = field(default_factory=dict)
    """Part that does not answer -> seconds."""
    idle: float | None = None
    """Fraction of the latest time in which the engines had nothing to decode."""
    busy: float | None = None
    """Fraction of the latest time that the learner spent in steps."""
    logprob_diff: float | None = None
    """Median over the latest steps of the mean difference, in nats."""
    float32: bool = False
    """Whether engine and learner both compute in float32."""


def read_measures(
    connection: Connection,
    settings: Settings,
    folder: Path,
    now: Scrape | None = None,
    window: int = WINDOW_GROUPS,
) -> Measures:
    """Reads the run `settings.run.id`, whose folder is `folder`. `now`: its processes, if it is going on."""
    run_id = settings.run.id
    phase = connection.scalar(select(Run.phase).where(Run.id == run_id)) or "starting"
    found = _window(connection, run_id, window)
    scores = _scores(connection, run_id, [group.group_id for group in found])
    counted = [row for row in scores if row.score is not None]
    steps = _tail(folder / STEPS_FILE)[-_STEPS:]
    return Measures(
        phase=phase,
        purpose=found[0].purpose if found else "",
        trained=_count(connection, run_id, Group.purpose == "train", Group.outcome == "trained"),
        silent_seconds=_silent_seconds(connection, run_id) if phase == "train" else None,
        outcomes=Counter(_ending(group) for group in found),
        open=_count(connection, run_id, Group.outcome.is_(None)),
        responses=len(counted),
        zero=_share(counted, lambda row: row.score <= 0),
        full=_share(counted, lambda row: row.score >= 1),
        cut_off=_share(counted, lambda row: row.response_tokens >= _limit(settings, row.domain)),
        alike=_alike(counted, settings.learner.zero_variance_std),
        rewards=_rewards(counted),
        scorers=_scorers(scores, settings),
        max_new_tokens=settings.rollout.sampling.max_new_tokens,
        waiting=_waiting(now),
        away={} if now is None else _away(now),
        idle=_idle(_tail(folder / SERIES_FILE)),
        busy=_busy(steps),
        logprob_diff=_logprob_diff(steps),
        float32=all_float32(settings),
    )


def all_float32(settings: Settings) -> bool:
    """Whether neither the engine nor the learner computes anything in bfloat16."""
    learner = settings.learner
    return settings.model.dtype == learner.param_dtype == "float32" and not learner.autocast


def _window(connection: Connection, run_id: str, window: int) -> Sequence[Any]:
    """The newest closed train groups; before the first of them, those of the measurements."""
    query = select(Group.group_id, Group.purpose, Group.outcome, Group.reason).where(
        Group.run_id == run_id, Group.outcome.is_not(None)
    )
    newest = query.order_by(Group.seq.desc()).limit(window)
    return connection.execute(newest.where(Group.purpose == "train")).all() or connection.execute(newest).all()


def _scores(connection: Connection, run_id: str, groups: Sequence[str]) -> Sequence[Any]:
    """The first score of each rollout of these groups."""
    columns = (Score.group_id, Score.rollout_id, Score.domain, Score.score, Score.response_tokens, Score.route)
    query = (
        select(*columns, Score.seconds)
        .distinct(Score.rollout_id)
        .where(Score.group_id.in_(groups), Score.run_id == run_id, ~Score.shadow)
        .order_by(Score.rollout_id, Score.scored_at)
    )
    return connection.execute(query).all() if groups else ()


def _count(connection: Connection, run_id: str, *conditions: Any) -> int:
    return connection.scalar(select(func.count()).select_from(Group).where(Group.run_id == run_id, *conditions)) or 0


def _silent_seconds(connection: Connection, run_id: str) -> float | None:
    last = select(func.max(Group.closed_at)).where(Group.run_id == run_id, Group.outcome == "trained").scalar_subquery()
    silent = func.extract("epoch", func.now() - func.coalesce(last, Run.train_started_at))
    seconds = connection.scalar(select(silent).where(Run.id == run_id))
    return None if seconds is None else float(seconds)


def _ending(group: Any) -> str:
    return f"{group.outcome} ({group.reason})" if group.outcome == "filtered" and group.reason else str(group.outcome)


def _share(rows: Sequence[Any], holds: Any) -> float:
    return sum(map(holds, rows)) / len(rows) if rows else 0.0


def _limit(settings: Settings, domain: str) -> int:
    sampling = settings.rollout.sampling
    return sampling.max_new_tokens_by_domain.get(domain, sampling.max_new_tokens)


def _alike(rows: Sequence[Any], limit: float) -> float | None:
    by_group: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        by_group[row.group_id].append(row.score)
    groups = [scores for scores in by_group.values() if len(scores) > 1]
    return sum(pstdev(scores) < limit for scores in groups) / len(groups) if groups else None


def _rewards(rows: Sequence[Any]) -> dict[str, float]:
    by_domain: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        by_domain[row.domain].append(row.score)
    return {domain: fmean(scores) for domain, scores in sorted(by_domain.items())}


def _scorers(rows: Sequence[Any], settings: Settings) -> dict[str, ScorerMeasures]:
    limits = {"rtv": settings.rtv.timeout_seconds, "genrm": settings.genrm.timeout_seconds}
    by_route = {route: [row for row in rows if row.route == route] for route in limits}
    return {
        route: ScorerMeasures(
            verdicts=len(some),
            seconds=fmean(row.seconds for row in some),
            infra_errors=_share(some, lambda row: row.score is None),
            timeout_seconds=limits[route],
        )
        for route, some in by_route.items()
        if some
    }


def _waiting(now: Scrape | None) -> tuple[str, ...]:
    stages = {} if now is None else now.by(ScoringMetrics.scorer_unavailable.series, "stage")
    return tuple(sorted(stage for stage, waits in stages.items() if waits))


def _away(now: Scrape) -> dict[str, float]:
    away: dict[str, float] = {}
    for service, metrics in now.services.items():
        own = Scrape(now.at, {service: metrics}).by(FlowMetrics.outage_seconds.series, "part")
        away |= {part: max(seconds, away.get(part, 0.0)) for part, seconds in own.items() if seconds}
    return away


def _tail(file: Path) -> list[dict[str, Any]]:
    """The newest complete lines of a file of JSON lines, oldest first; none if there is no file."""
    if not file.is_file():
        return []
    with file.open("rb") as opened:
        start = max(0, file.stat().st_size - _TAIL_BYTES)
        opened.seek(start)
        lines = opened.read().splitlines(keepends=True)
    return [json.loads(line) for line in lines[1 if start else 0 :] if line.endswith(b"\n")]


def _idle(rows: Sequence[Mapping[str, Any]]) -> float | None:
    newest = rows[-1]["seconds"] - _IDLE_SECONDS if rows else 0.0
    some = [row for row in rows if row["seconds"] >= newest and row.get("phase") == "train"]
    known = [row["engine_running"] for row in some if row.get("engine_running") is not None]
    return sum(not running for running in known) / len(known) if len(known) > 1 else None


def _busy(steps: Sequence[Mapping[str, Any]]) -> float | None:
    """From the end of the first of the steps to the end of the last one."""
    if len(steps) < 2 or steps[-1]["lineage"] != steps[0]["lineage"]:
        return None
    passed = steps[-1]["at"] - steps[0]["at"]
    return min(1.0, sum(step["seconds"]["total"] for step in steps[1:]) / passed) if passed > 0 else None


def _logprob_diff(steps: Sequence[Mapping[str, Any]]) -> float | None:
    known = [step["logprob_diff_mean"] for step in steps if step.get("logprob_diff_mean") is not None]
    return median(known) if known else None
