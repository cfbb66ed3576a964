"""Reads the page's start: health, advisories, counts, held-out scores, and the trend."""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection, select

from infra.advice.advisories import advise
from infra.advice.measures import read_measures
from infra.advice.story import read_run
from infra.db.models import Evaluation, Run
from infra.page.models.health import HealthLine, Notice, Vitals, health_of, notices_of, phase_words
from infra.page.models.loop import LoopPicture, loop_of
from infra.page.models.trend import HeldoutMean, TrendView, domains_of, thin
from infra.page.readers.live import SCRAPE_SECONDS, LiveProcesses, Moment
from infra.page.readers.shown_run import ShownRun
from infra.page.readers.steps_file import StepsFile
from infra.screen import facts as run_facts


@dataclass(frozen=True, slots=True, kw_only=True)
class OverviewView:
    run_id: str
    recipe: str
    model: str
    broker: str
    live: bool
    phase: str
    phase_words: str
    version: int
    created_at: datetime | None
    finished_at: datetime | None
    trained_seconds: float
    read_at: float
    """Unix seconds."""
    health: HealthLine
    notices: Sequence[Notice]
    groups: Mapping[str, Mapping[str, int]]
    """Purpose -> outcome -> groups."""
    heldout: Sequence[HeldoutMean]


class OverviewReader:
    """Safe to use from several threads."""

    def __init__(self, run: ShownRun, steps: StepsFile, processes: LiveProcesses) -> None:
        self._run, self._steps, self._processes = run, steps, processes
        self._lock = threading.Lock()
        self._last: OverviewView | None = None

    def overview(self) -> OverviewView:
        """At most `SCRAPE_SECONDS` old: every view of every tab asks for it."""
        with self._lock:
            if self._last is None or time.time() - self._last.read_at >= SCRAPE_SECONDS:
                self._last = self._read()
            return self._last

    def _read(self) -> OverviewView:
        run, moment = self._run, self._processes.look()
        with run.engine.connect() as connection:
            started = connection.scalar(select(Run.id).where(Run.id == run.run_id)) is not None
            story = read_run(connection, run.run_id) if started else None
            scrape = moment.now if moment.live else None
            measures = read_measures(connection, run.settings, run.folder, scrape)
            if not moment.live:
                measures = replace(measures, silent_seconds=None)  # a run that is over trains on nothing
            notices = notices_of(advise(measures))
            heldout = read_heldout(connection, run.run_id)
        phase = "starting" if story is None else story.phase
        steps = self._steps.steps()
        version = max(steps[-1].version if steps else 0, 0 if story is None else story.version)
        return OverviewView(
            run_id=run.run_id,
            recipe=run.settings.run.recipe,
            model=run.settings.model.path,
            broker=moment.broker or str(run.settings.broker.kind),
            live=moment.live,
            phase=phase,
            phase_words=phase_words(phase),
            version=version,
            created_at=None if story is None else story.created_at,
            finished_at=None if story is None else story.finished_at,
            trained_seconds=0.0 if story is None else story.trained_seconds,
            read_at=time.time(),
            health=health_of(_vitals(moment, phase, version), notices),
            notices=notices,
            groups={} if story is None else story.outcomes,
            heldout=heldout,
        )

    def loop(self) -> LoopPicture:
        moment = self._processes.look()
        facts = run_facts.read(self._run.engine, self._run.run_id)
        prefix = self._run.settings.topics.prefix
        return loop_of(moment.services, moment.now, moment.before, facts, prefix, live=moment.live)

    def trend(self) -> TrendView:
        with self._run.engine.connect() as connection:
            heldout = read_heldout(connection, self._run.run_id)
        points, size = thin(self._steps.steps())
        return TrendView(domains=domains_of(points, heldout), steps=points, steps_per_point=size, heldout=heldout)


def read_heldout(connection: Connection, run_id: str) -> list[HeldoutMean]:
    """The means by version, without measurements of versions that belong to an abandoned lineage (label `v12@1`)."""
    query = (
        select(Evaluation.__table__)
        .where(Evaluation.run_id == run_id, Evaluation.label.not_like("%@%"))
        .order_by(Evaluation.version, Evaluation.created_at, Evaluation.domain)
    )
    return [
        HeldoutMean(
            label=row.label,
            version=row.version,
            domain=row.domain,
            prompts=row.prompts,
            mean=row.mean,
            low=row.low,
            high=row.high,
        )
        for row in connection.execute(query)
    ]


def _vitals(moment: Moment, phase: str, version: int) -> Vitals:
    stopped = {one.name: one.status for one in moment.services if one.status != "running"}
    return Vitals(
        phase=phase,
        live=moment.live,
        version=version,
        ended=moment.ended,
        failed=moment.failed,
        not_running=stopped if moment.live else None,
        silent=moment.now.silent if moment.live else (),
    )
