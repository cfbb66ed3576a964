"""The one reader of /metrics: parses the text format, and scrapes the processes of a run.

Invariant: scraping never fails and never waits long. A process that does not answer keeps its last values, so that a
counter falls only if its process restarts, and is named as silent.
"""

import time
import urllib.request
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.client import HTTPException

from prometheus_client.parser import text_string_to_metric_families

PREFIX = "rewardstream_"
_TIMEOUT_SECONDS = 1.0
"""The endpoint answers in milliseconds; a process that holds the interpreter longer is shown as silent."""

Labels = tuple[tuple[str, str], ...]
Metrics = dict[tuple[str, Labels], float]


@dataclass(frozen=True, slots=True)
class Scrape:
    """All processes at one time."""

    at: float
    """Unix seconds."""
    services: Mapping[str, Metrics] = field(default_factory=dict)
    silent: frozenset[str] = frozenset()

    def total(self, name: str, **labels: str) -> float:
        """Sum over processes and over the labels that are not named; for counters."""
        return sum(value for found, value in self._matching(name, labels))

    def largest(self, name: str, **labels: str) -> float | None:
        """Largest value; for gauges. Every process serves every unlabelled gauge, at 0 if it never sets it."""
        return max((value for _, value in self._matching(name, labels)), default=None)

    def by(self, name: str, label: str, **labels: str) -> dict[str, float]:
        """Sums by the value of one label."""
        sums: dict[str, float] = {}
        for found, value in self._matching(name, labels):
            key = dict(found).get(label, "")
            sums[key] = sums.get(key, 0.0) + value
        return sums

    def _matching(self, name: str, labels: Mapping[str, str]) -> list[tuple[Labels, float]]:
        wanted = labels.items()
        return [
            (found, value)
            for metrics in self.services.values()
            for (metric, found), value in metrics.items()
            if metric == name and wanted <= dict(found).items()
        ]


def parse(text: str, prefix: str = PREFIX) -> Metrics:
    """The samples whose name has the prefix, without histogram buckets: nothing shows those, and they are most of the
    text. Raises ValueError if a line with the prefix is not in the text format.
    """
    lines = [line for line in text.splitlines() if line.startswith(prefix) and "_bucket{" not in line]
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families("\n".join(lines) + "\n")
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


class Scraper:
    """Scrapes all endpoints concurrently."""

    def __init__(self) -> None:
        self._last: dict[str, Metrics] = {}
        self._pool = ThreadPoolExecutor(max_workers=8, thread_name_prefix="scrape")

    def scrape(self, endpoints: Mapping[str, str]) -> Scrape:
        """`endpoints`: service -> URL of its /metrics."""
        answers = dict(zip(endpoints, self._pool.map(_fetch, endpoints.values()), strict=True))
        self._last |= {name: found for name, found in answers.items() if found is not None}
        silent = frozenset(name for name, found in answers.items() if found is None)
        return Scrape(at=time.time(), services=dict(self._last), silent=silent)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


def _fetch(url: str) -> Metrics | None:
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS) as response:  # noqa: S310 (own loopback endpoints)
            return parse(response.read().decode("utf-8", "replace"))
    except (OSError, HTTPException, ValueError):
        return None  # it is starting, busy, or died in the middle of its answer: the caller shows it as silent
