"""Fetches one announced version to this machine, concurrently with the engine's steps, so that generation goes on.

Invariant: there is one fetch at a time; its outcome is handed out once, and asking for it never waits.
"""

import threading
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from streams.messages import PolicyVersion
from workers.models.weight_cache import WeightCache


@dataclass(frozen=True, slots=True)
class Fetched:
    """The outcome for `announced`: a complete folder, or the error."""

    announced: PolicyVersion
    folder: Path | None
    error: Exception | None


class Fetcher:
    def __init__(self, cache: WeightCache) -> None:
        self._cache = cache
        self._announced: PolicyVersion | None = None
        self._future: Future[Path] = Future()

    @property
    def busy(self) -> bool:
        return self._announced is not None

    def start(self, announced: PolicyVersion) -> None:
        """Fetch in a daemon thread: a transfer that hangs must not keep the process from ending."""
        assert not self.busy, "one fetch at a time"
        self._announced, self._future = announced, Future()
        threading.Thread(target=self._fetch, args=(announced, self._future), name="fetch", daemon=True).start()

    def outcome(self) -> Fetched | None:
        """Returns None while a fetch is under way, or if none was started since the last outcome."""
        if self._announced is None or not self._future.done():
            return None
        announced, self._announced = self._announced, None
        error = self._future.exception()
        if error is None:
            return Fetched(announced, self._future.result(), None)
        if not isinstance(error, OSError | ValueError):
            raise error
        return Fetched(announced, None, error)

    def _fetch(self, announced: PolicyVersion, future: Future[Path]) -> None:
        try:
            future.set_result(self._cache.folder_of(announced))
        except BaseException as error:  # noqa: BLE001 (raised again when the outcome is asked for)
            future.set_exception(error)
