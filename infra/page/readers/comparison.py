"""Reads the runs of this run's database, and two of them side by side.

Invariant: only the responses of one held-out measurement of each run are read, however long the runs are; the intervals
of a pair of measurements are computed once.
"""

import threading
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, select

from infra.advice.story import UnknownNameError
from infra.db.models import Evaluation, Group, Prompt, Run, Score
from infra.page.models.comparison import (
    ComparisonView,
    OtherRun,
    PromptLine,
    RunsView,
    Side,
    domain_lines,
    furthest,
    settings_that_differ,
)
from infra.page.models.rows import excerpt
from infra.page.models.trend import HeldoutMean
from infra.page.readers.overview import read_heldout
from infra.page.readers.shown_run import ShownRun
from trainer.evaluation.results import OVERALL, PromptScores

_MOST_RUNS = 100
"""Runs of the list: two screens, the newest first."""


class ComparisonReader:
    """Safe to use from several threads."""

    def __init__(self, run: ShownRun) -> None:
        self._run = run
        self._lock = threading.Lock()
        self._last: tuple[Any, ComparisonView] | None = None

    def runs(self) -> RunsView:
        with self._run.engine.connect() as connection:
            query = select(Run.__table__).where(Run.id != self._run.run_id).order_by(Run.created_at.desc(), Run.id)
            rows = connection.execute(query.limit(_MOST_RUNS)).all()
            newest = _newest_scores(connection, [row.id for row in rows])
        return RunsView(run_id=self._run.run_id, runs=[_other(row, newest.get(row.id)) for row in rows])

    def comparison(self, other: str) -> ComparisonView:
        """Raises UnknownNameError if the database has no such run."""
        with self._run.engine.connect() as connection:
            own = _settings(connection, self._run.run_id)
            theirs = _settings(connection, other)
            if theirs is None:
                raise UnknownNameError(f"the database of run {self._run.run_id} has no run {other!r}")
            means = [_newest_means(connection, run_id) for run_id in (self._run.run_id, other)]
            key = other, tuple(tuple((mean.label, mean.domain, mean.mean) for mean in some) for some in means)
            with self._lock:
                if self._last is None or self._last[0] != key:
                    ours = own or self._run.settings.model_dump(mode="json")
                    self._last = key, self._compare(connection, other, means, ours, theirs)
                return self._last[1]

    def _compare(
        self, connection: Connection, other: str, means: list[list[HeldoutMean]], own: Any, theirs: Any
    ) -> ComparisonView:
        names = self._run.run_id, other
        labels = [some[0].label if some else "" for some in means]
        scores = [_scores(connection, name, label) for name, label in zip(names, labels, strict=True)]
        (first, mine), (second, others) = scores
        better, worse, equal = furthest(first, second)
        shown = [pair[0].prompt_id for pair in (*better, *worse)]
        chosen = select(Prompt.id, Prompt.question["prompt"].astext).where(Prompt.id.in_(shown))
        texts: dict[str, str] = {row[0]: row[1] for row in connection.execute(chosen)}
        sides = [
            Side(run_id=name, label=label, version=some[0].version if some else None, scorers=scorers)
            for name, label, some, scorers in zip(names, labels, means, (mine, others), strict=True)
        ]
        return ComparisonView(
            ours=sides[0],
            theirs=sides[1],
            domains=domain_lines(means[0], means[1], first, second),
            better=[_line(own, their, texts) for own, their in better],
            worse=[_line(own, their, texts) for own, their in worse],
            equal=equal,
            settings=settings_that_differ(own, theirs),
        )


def _settings(connection: Connection, run_id: str) -> Any:
    return connection.scalar(select(Run.settings).where(Run.id == run_id))


def _newest_scores(connection: Connection, runs: Sequence[str]) -> dict[str, Any]:
    query = (
        select(Evaluation.run_id, Evaluation.version, Evaluation.mean)
        .distinct(Evaluation.run_id)
        .where(Evaluation.run_id.in_(runs), Evaluation.domain == OVERALL, Evaluation.label.not_like("%@%"))
        .order_by(Evaluation.run_id, Evaluation.version.desc(), Evaluation.created_at.desc())
    )
    return {row.run_id: row for row in connection.execute(query)} if runs else {}


def _other(row: Any, newest: Any) -> OtherRun:
    settings = row.settings or {}
    return OtherRun(
        run_id=row.id,
        recipe=settings.get("run", {}).get("recipe", ""),
        model=settings.get("model", {}).get("path", ""),
        phase=row.phase,
        created_at=row.created_at,
        heldout=None if newest is None else newest.mean,
        version=None if newest is None else newest.version,
    )


def _newest_means(connection: Connection, run_id: str) -> list[HeldoutMean]:
    """The means of the newest measurement by domain; none if there is none."""
    found = read_heldout(connection, run_id)
    return [mean for mean in found if mean.label == found[-1].label]


def _scores(connection: Connection, run_id: str, label: str) -> tuple[list[PromptScores], list[str]]:
    """The prompts of a measurement with the first score of each response that counts, and the scorers of these."""
    query = (
        select(Score.prompt_id, Score.domain, Score.score, Score.scorer, Score.scorer_version)
        .distinct(Score.rollout_id)
        .join(Group, Group.group_id == Score.group_id)
        .where(Group.run_id == run_id, Group.label == label, Group.purpose == "eval", ~Score.shadow)
        .where(Score.score.is_not(None))
        .order_by(Score.rollout_id, Score.scored_at)
    )
    scores: dict[tuple[str, str], list[float]] = defaultdict(list)
    scorers = set()
    for row in connection.execute(query) if label else ():
        scores[row.prompt_id, row.domain].append(row.score)
        scorers.add(f"{row.scorer}@{row.scorer_version}")
    prompts = [
        PromptScores(prompt_id=prompt, domain=domain, scores=tuple(some)) for (prompt, domain), some in scores.items()
    ]
    return prompts, sorted(scorers)


def _line(ours: PromptScores, theirs: PromptScores, texts: dict[str, str]) -> PromptLine:
    return PromptLine(
        prompt_id=ours.prompt_id,
        prompt=excerpt(texts.get(ours.prompt_id) or ""),
        domain=ours.domain,
        ours=ours.mean,
        theirs=theirs.mean,
    )
