"""Looks at a run's groups in a thread of its own, since a database that hangs must not hold up who makes it hang.

Invariant: what `seen` returns was true at a time that is not before `Sight.at`.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_LOOK_SECONDS = 0.25
_GROUPS = """
SELECT p.domain, max(g.seq), coalesce(max(g.seq) FILTER (WHERE g.outcome IN ('trained', 'filtered', 'stale')), -1)
FROM groups g JOIN prompts p ON p.id = g.prompt_id WHERE g.run_id = :run GROUP BY p.domain
"""

Query = Callable[..., list[tuple[Any, ...]] | None]


@dataclass(frozen=True)
class Sight:
    at: float
    """When it was asked for, on the clock of time.monotonic()."""
    newest: int
    """The newest group's number; -1 if there is none."""
    closed: dict[str, int]
    """The newest group that is trained, filtered or stale, by its prompt's domain."""


class Watch:
    def __init__(self, query: Query, run_id: str) -> None:
        self.seen = Sight(0.0, -1, {})
        self._query, self._run_id = query, run_id
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._closed.set()

    def _look(self) -> None:
        while not self._closed.wait(_LOOK_SECONDS):
            at = time.monotonic()
            if rows := self._query(_GROUPS, run=self._run_id):
                newest = max(row[1] for row in rows)
                self.seen = Sight(at, newest, {domain: closed for domain, _, closed in rows})
