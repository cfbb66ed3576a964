"""Follows the learner: loads the newest announced version, if its files are the announced ones.

Invariant: the engine holds complete weights, old or announced. A file whose digest differs is never loaded: it is
counted, and the engine keeps its weights. Only the newest announcement counts, by its position in the log, so that a
resumed learner's lower version replaces a higher one.
"""

import logging
import time
from collections.abc import Callable
from pathlib import Path

from infra.metrics import metrics
from streams.clients import LogReader
from streams.codec import DecodeError, decode
from streams.messages import PolicyVersion
from streams.records import Record
from workers.engines.base import Engine, WeightVersion
from workers.models.weight_cache import WeightCache, WeightsMismatchError
from workers.rollout.fetching import Fetcher

log = logging.getLogger(__name__)

_RETRY_SECONDS = 5.0
"""A missing file may still be on its way over a network file system."""


class PolicyFollower:
    def __init__(
        self,
        reader: LogReader,
        engine: Engine,
        cache: WeightCache,
        run_id: str,
        set_aside: Callable[[Record, Exception], None],
    ) -> None:
        self._reader = reader
        self._engine = engine
        self._fetcher = Fetcher(cache)
        self._run_id = run_id
        self._set_aside = set_aside
        self._wanted: PolicyVersion | None = None
        self._try_at = 0.0

    @property
    def ready(self) -> bool:
        """Whether any announced version was loaded."""
        return self._engine.weights.version >= 0

    def follow(self) -> None:
        """Read the announcements; fetch the newest version if it is not loaded yet."""
        for record in self._reader.poll(timeout=0):
            self._note_announcement(record)
        if self._wanted is not None and not self._fetcher.busy and time.monotonic() >= self._try_at:
            self._fetcher.start(self._wanted)

    def swap(self) -> None:
        """Load the fetched version, between two steps of the engine.

        A version is loaded even if a newer one was announced meanwhile: otherwise versions that come faster than they
        can be fetched would keep the engine on old weights. It is dropped if the newer one is of another lineage, whose
        learner has resumed from before it.
        """
        fetched = self._fetcher.outcome()
        if fetched is None:
            return
        wanted, announced = self._wanted, fetched.announced
        if wanted is not None and wanted.lineage != announced.lineage:
            return
        if fetched.folder is None:
            self._refuse(announced, fetched.error)
        else:
            self._load(announced, fetched.folder)

    def _note_announcement(self, record: Record) -> None:
        try:
            announced = decode(record.value, PolicyVersion)
        except DecodeError as error:
            self._set_aside(record, error)
            return
        if announced.run_id == self._run_id:
            self._wanted = announced
            self._try_at = 0.0

    def _load(self, announced: PolicyVersion, folder: Path) -> None:
        started = time.monotonic()
        try:
            self._engine.load_weights(folder, WeightVersion(announced.lineage, announced.version))
        except (OSError, ValueError) as error:
            self._refuse(announced, error)
            return
        if self._wanted is announced:
            self._wanted = None
        seconds = time.monotonic() - started
        metrics.weight_swap_seconds.observe(seconds)
        metrics.engine_policy_version.set(announced.version)
        log.info("loaded version=%d lineage=%d seconds=%.2f", announced.version, announced.lineage, seconds)

    def _refuse(self, announced: PolicyVersion, error: Exception | None) -> None:
        reason = "mismatch" if isinstance(error, WeightsMismatchError) else "unreadable"
        metrics.weights_refused_total.labels(reason).inc()
        if self._wanted is announced:
            self._try_at = time.monotonic() + _RETRY_SECONDS
        log.error(
            "version %d of lineage %d is not loaded, %s stays: %s; next attempt in %g s",
            announced.version, announced.lineage, self._engine.weights, error, _RETRY_SECONDS,
        )  # fmt: skip
