"""What the processes of a run say of themselves now.

Invariant: the processes are scraped only when somebody looks, and not more often than every `SCRAPE_SECONDS`, however
many look.
"""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.local.state import ServiceLine, read_state
from infra.scrape import Scrape, Scraper

SCRAPE_SECONDS = 2.0
"""The live screen's interval (infra.screen.monitor): scraping seven processes takes about 20 ms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    live: bool
    services: Sequence[ServiceLine]
    now: Scrape
    before: Scrape
    ended: str
    failed: bool
    broker: str


class LiveProcesses:
    """`root`: the folder of runs, whose state file names the processes. Safe to use from several threads."""

    def __init__(self, root: Path, run_id: str) -> None:
        self._root, self._run_id = root, run_id
        self._lock = threading.Lock()
        self._scraper = Scraper()
        self._scraped_at = float("-inf")
        self._now = self._before = Scrape(at=time.time())

    def look(self) -> Moment:
        state = read_state(self._root)
        if state is None or state.run_id != self._run_id:
            nothing = Scrape(at=time.time())
            return Moment(live=False, services=(), now=nothing, before=nothing, ended="", failed=False, broker="")
        live = not state.ended and state.process is not None
        if live:
            self._scrape(state.services)
        return Moment(
            live=live,
            services=state.services,
            now=self._now,
            before=self._before,
            ended=state.ended,
            failed=bool(state.exit_code),
            broker=f"{state.broker} broker at {state.bootstrap}",
        )

    def _scrape(self, services: Sequence[ServiceLine]) -> None:
        with self._lock:
            if time.monotonic() - self._scraped_at < SCRAPE_SECONDS:
                return
            now = self._scraper.scrape({service.name: service.metrics_url for service in services})
            # The first scrape has nothing before it: its rates are 0, not those since the run's start.
            self._before = self._now if self._now.services else now
            self._now, self._scraped_at = now, time.monotonic()

    def close(self) -> None:
        self._scraper.close()
