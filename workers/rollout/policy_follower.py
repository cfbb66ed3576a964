"""Follows the learner: loads the newest announced version, if its files are the announced ones.

Invariants:
- The engine holds complete weights, old or announced. A file whose digest differs is never loaded: it is counted, and
  the engine keeps its weights.
- The lineage of the weights that it follows never falls, whatever an overtaken learner announces. In one lineage the
  newest announcement counts, by its position in the log.
- While a version is pinned, no other is loaded; afterwards the followed weights, or newer ones, come back.
- An announcement that is not signed with the key, if there is one, or names a place that is not the run's, is set
  aside. The same holds for a pinned version; since tickets are not signed, its announcement must have been read itself
  if there is a key.
- An announcement whose files cannot be loaded holds up no other: while it waits for its next attempt, the newest one of
  the lineage below it is loaded.
"""

import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from infra.metrics import metrics
from streams.announcements import SignatureError, read_announcement
from streams.clients import LogReader
from streams.codec import DecodeError
from streams.messages import PolicyVersion
from streams.records import Record
from workers.engines.base import Engine
from workers.models.weight_cache import WeightCache, WeightsMismatchError
from workers.rollout.fetching import Fetcher
from workers.rollout.shifts import Holding, version_of
from workers.rollout.weight_places import ElsewhereError, WeightPlaces

log = logging.getLogger(__name__)

_RETRY_SECONDS = 5.0
"""Wait before the second attempt; a missing file may still be on its way over a network file system."""
_REMEMBERED = 256
"""Announcements kept to know the signed ones by: tickets name one of few versions ago."""
_LONGEST_RETRY_SECONDS = 60.0
"""The wait doubles up to this: an announcement from nowhere is tried for ever, and should cost nothing."""


@dataclass(slots=True)
class _Wanted:
    """An announcement that is not loaded yet."""

    announced: PolicyVersion
    failures: int = 0
    try_at: float = 0.0

    def postpone(self) -> float:
        """Returns the wait in seconds."""
        wait = min(_LONGEST_RETRY_SECONDS, _RETRY_SECONDS * 2.0**self.failures)
        self.failures += 1
        self.try_at = time.monotonic() + wait
        return wait


@dataclass(slots=True)
class Announcements:
    """The announcements that may still be loaded: the newest of each lineage, none of a lineage below `loaded`."""

    loaded: int = -1
    """Lineage of the engine's weights."""
    _wanted: dict[int, _Wanted] = field(default_factory=dict)

    def add(self, announced: PolicyVersion) -> bool:
        """Returns False for one of an abandoned lineage."""
        if announced.lineage < self.loaded:
            return False
        self._wanted[announced.lineage] = _Wanted(announced)
        return True

    @property
    def is_empty(self) -> bool:
        return not self._wanted

    def restore(self, announced: PolicyVersion) -> None:
        """Wants a version again that was loaded, unless a newer one of its lineage is wanted."""
        self._wanted.setdefault(announced.lineage, _Wanted(announced))

    def next(self, now: float) -> PolicyVersion | None:
        """The one to load: of the highest lineage that need not wait."""
        due = [lineage for lineage, wanted in self._wanted.items() if now >= wanted.try_at]
        return self._wanted[max(due)].announced if due else None

    def overtaken(self, fetched: PolicyVersion) -> bool:
        """Whether a higher lineage is there that can be loaded as far as is known, so that `fetched` must not be."""
        return fetched.lineage < self.loaded or any(
            lineage > fetched.lineage and not wanted.failures for lineage, wanted in self._wanted.items()
        )

    def note_loaded(self, announced: PolicyVersion) -> None:
        self.loaded = announced.lineage
        self._wanted = {
            lineage: wanted
            for lineage, wanted in self._wanted.items()
            if lineage >= self.loaded and wanted.announced is not announced
        }

    def postpone(self, announced: PolicyVersion) -> float:
        """Notes a failed attempt. Returns the seconds until the next one, or 0 if a newer one has taken its place."""
        wanted = self._wanted.get(announced.lineage)
        return wanted.postpone() if wanted is not None and wanted.announced is announced else 0.0


class PolicyFollower:
    def __init__(
        self,
        *,
        reader: LogReader,
        engine: Engine,
        cache: WeightCache,
        run_id: str,
        places: WeightPlaces,
        key: bytes | None,
        set_aside: Callable[[Record, Exception], None],
    ) -> None:
        """`key`: that of the announcements' signatures; None if they need none."""
        self._reader = reader
        self._engine = engine
        self._fetcher = Fetcher(cache)
        self._run_id = run_id
        self._places = places
        self._key = key
        self._set_aside = set_aside
        self._announcements = Announcements()
        self._followed: PolicyVersion | None = None
        self._pin_fetcher = Fetcher(cache)
        self._pin: _Wanted | None = None
        self._accepted: deque[PolicyVersion] = deque(maxlen=_REMEMBERED)

    @property
    def holding(self) -> Holding:
        followed = self._followed is not None and version_of(self._followed) == self._engine.weights
        return Holding(self._engine.weights, followed, followed and self._announcements.is_empty)

    def follow(self) -> None:
        """Read the announcements; fetch the newest version if it is not loaded yet."""
        for record in self._reader.poll(timeout=0):
            self._note_announcement(record)
        if not self._fetcher.busy and (wanted := self._announcements.next(time.monotonic())) is not None:
            self._fetcher.start(wanted)

    def swap(self) -> None:
        """Load the fetched version, between two steps of the engine.

        A version is loaded even if a newer one was announced meanwhile: otherwise versions that come faster than they
        can be fetched would keep the engine on old weights. It is dropped if the newer one is of another lineage, whose
        learner has resumed from before it.
        """
        if self._followed is not None and self._engine.weights != version_of(self._followed):
            self._announcements.restore(self._followed)
        fetched = self._fetcher.outcome()
        if fetched is None:
            return
        if fetched.folder is None:
            self._refuse(fetched.announced, fetched.error)
        elif not self._announcements.overtaken(fetched.announced):
            self._load(fetched.announced, fetched.folder)

    def pin(self, announced: PolicyVersion) -> int:
        """Load this version, between two steps of the engine; returns how often that failed."""
        if self._pin is None or self._pin.announced != announced:
            self._pin = _Wanted(announced)
        fetched = self._pin_fetcher.outcome()
        if fetched is not None and fetched.announced == announced:
            error: Exception | None = fetched.error
            if fetched.folder is not None:
                error = self._try_load(announced, fetched.folder)
            if error is not None:
                _count_refusal(error)
                wait = self._pin.postpone()
                log.error("version %d is not loaded for its groups: %s; again in %g s", announced.version, error, wait)
        due = self._engine.weights != version_of(announced) and time.monotonic() >= self._pin.try_at
        if due and not self._pin_fetcher.busy:
            try:
                self._require_accepted(announced)
            except (ElsewhereError, SignatureError) as refusal:
                log.error("version %d, which tickets name, is refused: %s", announced.version, refusal)  # noqa: TRY400
                self._pin.postpone()
            else:
                self._pin_fetcher.start(announced)
        return self._pin.failures

    def _require_accepted(self, announced: PolicyVersion) -> None:
        """Raises ElsewhereError, SignatureError."""
        self._places.require(announced.uri)
        if self._key is not None and announced not in self._accepted:
            raise SignatureError("no signed announcement of it was read: the log may have compacted it away")

    def _note_announcement(self, record: Record) -> None:
        try:
            announced = read_announcement(record, self._key)
            if announced.run_id == self._run_id:
                self._places.require(announced.uri)
        except (DecodeError, ElsewhereError) as error:
            reasons: dict[type[Exception], str] = {SignatureError: "unsigned", ElsewhereError: "elsewhere"}
            if type(error) in reasons:
                metrics.weights_refused_total.labels(reasons[type(error)]).inc()
            self._set_aside(record, error)
            return
        if announced.run_id != self._run_id:
            return
        self._accepted.append(announced)
        if not self._announcements.add(announced):
            log.warning(
                "version %d of lineage %d is not loaded: lineage %d has taken the run over",
                announced.version, announced.lineage, self._announcements.loaded,
            )  # fmt: skip

    def _load(self, announced: PolicyVersion, folder: Path) -> None:
        error = self._try_load(announced, folder)
        if error is not None:
            self._refuse(announced, error)
            return
        self._announcements.note_loaded(announced)
        self._followed = announced

    def _try_load(self, announced: PolicyVersion, folder: Path) -> OSError | ValueError | None:
        """Returns the error of weights that do not load."""
        started = time.monotonic()
        try:
            self._engine.load_weights(folder, version_of(announced))
        except (OSError, ValueError) as error:
            return error
        seconds = time.monotonic() - started
        metrics.weight_swap_seconds.observe(seconds)
        metrics.engine_policy_version.set(announced.version)
        log.info("loaded version=%d lineage=%d seconds=%.2f", announced.version, announced.lineage, seconds)
        return None

    def _refuse(self, announced: PolicyVersion, error: Exception | None) -> None:
        _count_refusal(error)
        wait = self._announcements.postpone(announced)
        log.error(
            "version %d of lineage %d is not loaded, %s stays: %s; next attempt in %g s",
            announced.version, announced.lineage, self._engine.weights, error, wait,
        )  # fmt: skip


def _count_refusal(error: Exception | None) -> None:
    reason = "mismatch" if isinstance(error, WeightsMismatchError) else "unreadable"
    metrics.weights_refused_total.labels(reason).inc()
