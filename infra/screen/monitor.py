"""Watches a run: scrapes its processes, keeps the time series, and shows the run as a live screen or as plain lines.

Invariant: watching never ends a run. If the database or a process does not answer, its last values stay on the screen.
"""

import contextlib
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from rich.console import Console
from rich.live import Live
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from infra.advice.advisories import advise
from infra.advice.measures import Measures, read_measures
from infra.local.state import ServiceLine
from infra.report import history
from infra.scalars import LearningMetrics
from infra.scrape import Scrape, Scraper
from infra.screen import facts as run_facts
from infra.screen.facts import RunFactsNow
from infra.screen.render import line, screen
from infra.screen.view import ProcessRow, Rewards, View, activity, domain_rows, domain_shares, token_rates, topic_rows
from infra.settings.tree import Settings

TICK_SECONDS = 2.0
"""Scraping seven processes takes about 20 ms: at this interval, one hundredth of a core."""
PLAIN_SECONDS = 10.0
"""Interval of the plain lines, and of measuring what the run lacks, which reads some hundred rows."""


@dataclass(frozen=True, slots=True)
class Watched:
    """The run to watch. `started`: Unix seconds; `page`: address of its page, empty if it has none."""

    run_id: str
    prefix: str
    broker: str
    started: float
    settings: Settings
    folder: Path
    page: str = ""


class Monitor:
    """Call `tick` every TICK_SECONDS. `keep` writes the time series, if given; `live` None decides by the terminal."""

    def __init__(
        self, run: Watched, engine: Engine, *, keep: history.HistoryWriter | None = None, live: bool | None = None
    ) -> None:
        self._run = run
        self._engine = engine
        self._keep = keep
        self._scraper = Scraper()
        self._before = Scrape(at=run.started)
        self._facts = RunFactsNow()
        self._measures = Measures(phase="starting")
        self._measured_at = float("-inf")
        self._rewards = Rewards()
        self._plain_at = 0.0
        self._told: set[str] = set()
        is_live = sys.stdout.isatty() if live is None else live
        self._live = Live(console=Console(), auto_refresh=False, transient=True) if is_live else None

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()
        self._scraper.close()

    def tick(self, services: Sequence[ServiceLine]) -> View:
        """Scrapes and shows the run once. Raises OSError if the time series cannot be written."""
        now = self._scraper.scrape({service.name: service.metrics_url for service in services})
        with contextlib.suppress(SQLAlchemyError):  # the supervisor reports a database that is gone
            self._facts = run_facts.read(self._engine, self._run.run_id)
            self._measure(now)
        view = self._view(services, now)
        if self._keep is not None:
            self._keep.append(history.row(now, self._run.started, self._facts.phase))
        self._before = now
        self._show(view)
        return view

    def _measure(self, now: Scrape) -> None:
        if time.monotonic() - self._measured_at < PLAIN_SECONDS:
            return
        self._measured_at = time.monotonic()
        with self._engine.connect() as connection:
            self._measures = read_measures(connection, self._run.settings, self._run.folder, now)

    def _view(self, services: Sequence[ServiceLine], now: Scrape) -> View:
        before = self._before
        generated, trained = token_rates(now, before)
        return View(
            run_id=self._run.run_id,
            broker=self._run.broker,
            elapsed=now.at - self._run.started,
            phase=self._facts.phase,
            version=int(now.largest(LearningMetrics.policy_version.series) or 0),
            generated_rate=generated,
            trained_rate=trained,
            processes=[_process_row(service, now, before, self._facts) for service in services],
            topics=topic_rows(now, before, self._run.prefix),
            domains=domain_rows(
                self._rewards.update(now),
                self._facts.heldout,
                domain_shares(now, "asked"),
                domain_shares(now, "trained"),
                self._measures.rewards,
            ),
            outcomes=self._facts.outcomes,
            reasons=self._facts.reasons,
            staleness=self._facts.staleness,
            advice=advise(self._measures),
            page=self._run.page,
        )

    def _show(self, view: View) -> None:
        if self._live is not None:
            self._live.update(screen(view), refresh=True)
        elif time.monotonic() - self._plain_at >= PLAIN_SECONDS:
            self._plain_at = time.monotonic()
            print(line(view, self._told), flush=True)
            self._told = {advisory.kind for advisory in view.advice}


def _process_row(service: ServiceLine, now: Scrape, before: Scrape, facts: RunFactsNow) -> ProcessRow:
    return ProcessRow(
        name=service.name,
        state=service.status,
        pid=service.pid,
        restarts=service.restarts,
        cpu_cores=service.cpu_cores,
        memory_bytes=service.memory_bytes,
        activity=activity(service.name, now, before, facts) if service.pid else "",
    )
