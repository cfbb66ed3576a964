"""One laboratory run: prompts into Postgres, services as threads, and what came out of it.

Invariant: a run has an id, a prefix of topics and prompts of its own, so runs share broker and database and nothing
else.
"""

import json
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import psutil
from sqlalchemy import Connection, Engine, and_, func, select

from infra.db.engine import connect
from infra.db.models import Group, Prompt, Run, Score
from infra.files.run_files import STEPS_FILE
from infra.lab.guarding import guard_points
from infra.lab.pool import JUDGED, PromptFiles
from infra.lab.results import LabRun, Point
from infra.lab.services import run_services
from infra.local.stack import Stack
from infra.settings.load import with_changes
from infra.settings.tree import Settings
from streams.messages import Outcome, Purpose
from trainer.prompts.dataset import Defaults
from trainer.prompts.ingest import ingest


def execute(settings: Settings, pool: PromptFiles, *, arm: str, seed: int, digest: str) -> LabRun:
    """Runs to the end, under its own broker. Raises ServiceFailedError, and what starting a stack raises."""
    started, cpu = time.monotonic(), _cpu_seconds()
    data = {"prompts": pool.train, "heldout": pool.heldout}
    with Stack(with_changes(settings, data=data), lambda *_: []) as stack:
        database = stack.settings.database
        engine = connect(database.full_url(), database.connect_timeout_seconds)
        try:
            for path, split in ((pool.train, "train"), (pool.heldout, "heldout")):
                ingest(engine, path, Defaults(split=split), run_id=stack.run_id)
            run_services(stack.settings, stack.broker.bootstrap)
            spent = time.monotonic() - started, _cpu_seconds() - cpu
            return _result(engine, stack, spent, arm=arm, seed=seed, digest=digest)
        finally:
            engine.dispose()


def _result(engine: Engine, stack: Stack, spent: tuple[float, float], *, arm: str, seed: int, digest: str) -> LabRun:
    run_id = stack.run_id
    file = stack.folder / STEPS_FILE
    steps = [json.loads(line) for line in file.read_text().splitlines()] if file.is_file() else []
    tenth = max(1, len(steps) // 10)
    with engine.connect() as connection:
        groups = _train_groups(connection, run_id)
        assessed = _assessed(connection, run_id)
        began = connection.scalar(select(func.extract("epoch", Run.train_started_at)).where(Run.id == run_id))
        size = stack.settings.selector.group_size
        clock = {0: 0.0} | {step["version"]: step["at"] - float(began or 0) for step in steps}
        cost = _Cost(groups, assessed, size, clock)
        guard = guard_points(connection, run_id) if stack.settings.crosscheck.scorers else []
        curve = [cost.point(*row) for row in _measurements(connection, run_id)]
    return LabRun(
        arm=arm,
        seed=seed,
        digest=digest,
        curve=sorted(curve, key=lambda point: (point.rollouts, point.version)),
        spread=sum(row.spread for row in groups),
        outcomes=dict(Counter(row.outcome or "open" for row in groups)),
        kinds=dict(Counter(row.source.removeprefix("rung ") for row in groups)),
        assessed=assessed,
        entropy=(_mean_of(steps[:tenth], "entropy"), _mean_of(steps[-tenth:], "entropy")),
        staleness=_mean_of(steps, "token_staleness"),
        seconds=spent[0],
        cpu_seconds=spent[1],
        guard=guard,
    )


def _mean_of(steps: Sequence[Mapping[str, Any]], field: str) -> float:
    return fmean(step[field] for step in steps) if steps else 0.0


class _Cost:
    """What had been spent when a version was made."""

    def __init__(self, groups: Sequence[Any], assessed: int, size: int, clock: Mapping[int, float]) -> None:
        # A group counts for the version that it was trained into; one that was filtered, for the next one.
        made = Counter(row.closed_version + (row.outcome != Outcome.TRAINED) for row in groups)
        last = max(clock)
        total = 0
        self._rollouts: dict[int, float] = {}
        for version in range(last + 1):
            total += made.get(version, 0)
            self._rollouts[version] = assessed + size * total
        self._rollouts[last] = assessed + size * len(groups)
        self._clock = clock
        self._last = last

    def point(self, label: str, version: float, by_domain: Mapping[str, tuple[int, float]]) -> Point:
        """`version` is the mean over the measured rollouts, which may be of several versions."""
        true = {domain: value for domain, value in by_domain.items() if not domain.endswith(JUDGED)}
        judged = {domain: value for domain, value in by_domain.items() if domain.endswith(JUDGED)}
        version = float(self._last) if label == "after" else version
        return Point(
            version=round(version),
            rollouts=round(_between(self._rollouts, version)),
            seconds=_between(self._clock, version),
            score=_mean(true),
            proxy=_mean(judged) if judged else None,
            domains={domain: value for domain, (_, value) in sorted(true.items())},
        )


def _between(values: Mapping[int, float], version: float) -> float:
    """The value at a version between two whole ones, by a straight line."""
    below = min(int(version), max(values))
    above = min(below + 1, max(values))
    return values[below] + (version - below) * (values[above] - values[below])


def _mean(parts: Mapping[str, tuple[int, float]]) -> float:
    return sum(count * value for count, value in parts.values()) / sum(count for count, _ in parts.values())


def _measurements(connection: Connection, run_id: str) -> list[tuple[str, float, dict[str, tuple[int, float]]]]:
    """Per label: the mean policy version of its rollouts, and per domain the number of scores and their mean."""
    query = (
        select(Group.label, Score.domain, func.count(), func.avg(Score.score), func.avg(Score.policy_version))
        .join(Score, and_(Score.group_id == Group.group_id, Score.run_id == run_id))
        .where(Group.run_id == run_id, Group.purpose == Purpose.EVAL, ~Score.shadow, Score.score.is_not(None))
        .group_by(Group.label, Score.domain)
    )
    found: dict[str, dict[str, tuple[int, float]]] = defaultdict(dict)
    versions: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for label, domain, count, mean, version in connection.execute(query):
        found[label][domain] = count, float(mean)
        versions[label].append((count, float(version)))
    return [
        (label, sum(n * v for n, v in versions[label]) / sum(n for n, _ in versions[label]), by_domain)
        for label, by_domain in found.items()
    ]


def _train_groups(connection: Connection, run_id: str) -> Sequence[Any]:
    scored = (
        select(Score.group_id, (func.max(Score.score) > func.min(Score.score)).label("spread"))
        .where(Score.run_id == run_id, Score.purpose == Purpose.TRAIN, ~Score.shadow)
        .group_by(Score.group_id)
        .subquery()
    )
    query = (
        select(Group.outcome, Group.closed_version, Prompt.source, scored.c.spread)
        .join(Prompt, Prompt.id == Group.prompt_id)
        .join(scored, scored.c.group_id == Group.group_id)
        .where(Group.run_id == run_id, Group.purpose == Purpose.TRAIN, Group.outcome.is_not(None))
    )
    return connection.execute(query).all()


def _assessed(connection: Connection, run_id: str) -> int:
    """Rollouts spent on assessing prompts."""
    query = select(func.coalesce(func.sum(Group.samples), 0)).where(
        Group.run_id == run_id, Group.purpose == Purpose.ASSESS
    )
    return int(connection.scalar(query) or 0)


def _cpu_seconds() -> float:
    """CPU time of this process, of the processes that it has started and of those that these have ended."""
    own = psutil.Process()
    total = 0.0
    for process in [own, *own.children(recursive=True)]:
        try:
            total += sum(process.cpu_times()[:4])
        except psutil.NoSuchProcess:
            continue
    return total
