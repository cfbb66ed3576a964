"""Waits out the absence of a part that comes back by itself: the broker, the database, the store of published weights.

Invariant: an absence costs time only. A process that meets one keeps what it holds, says so (log, metric
`outage_seconds`, live screen) and goes on once the part is back. After a limit, or shortly after the process was asked
to stop, it gives up; a service then ends with EXIT_CODE, which its supervisor does not take for a crash.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from infra.metrics import metrics

log = logging.getLogger(__name__)

T = TypeVar("T")

EXIT_CODE = 75
"""EX_TEMPFAIL of sysexits.h: a part is away."""
RETRY_SECONDS = 1.0
"""Wait between two attempts: a part that is back is used within it, and a reconnect a second costs nothing."""
_QUIET_SECONDS = 5.0
"""An absence of this length is said: shorter ones are a slow answer or a leader's election."""
_REPEAT_SECONDS = 30.0
"""It is said again after this, so that the end of a log tells it."""
_STOP_SECONDS = 3.0
"""How long a process that was asked to stop still waits: less than its supervisor's patience of five seconds."""

stopping = threading.Event()
"""Set once the process was asked to stop. Threads that no signal reaches look at it."""

_AWAY = {
    "infra.db.engine.DatabaseUnavailableError",
    "sqlalchemy.exc.OperationalError",
    "sqlalchemy.exc.InterfaceError",
    "streams.clients.connect.BrokerUnavailableError",
    "workers.judges.base.JudgeUnavailableError",
    *(
        f"{library}.errors.{name}"
        for library in ("kafka", "aiokafka")
        for name in (
            "KafkaTimeoutError",
            "KafkaConnectionError",
            "NodeNotReadyError",
            "NoBrokersAvailable",
            "RequestTimedOutError",
            "CoordinatorNotAvailableError",
            "CoordinatorLoadInProgressError",
            "NotCoordinatorError",
            "LeaderNotAvailableError",
            "NotLeaderForPartitionError",
            "NotEnoughReplicasError",
            "NotEnoughReplicasAfterAppendError",
        )
    ),
}
"""Errors by qualified name, because naming them must not import the modules of all parts."""
_QUOTED = "RequestTimedOutError"
"""kafka-python wraps what its request for a producer id met in a plain KafkaError, which quotes it."""


def is_outage(error: BaseException | None) -> bool:
    """Whether the error, or what caused it, says that a part is away."""
    return any(_says_away(cause) for cause in causes(error))


@dataclass(slots=True)
class PartWait:
    """One wait for a part, from the first failure on."""

    part: str
    """`broker`, `database`, `store`."""
    limit_seconds: float
    _since: float | None = None
    _said_at: float = 0.0

    def waits(self, why: object) -> bool:
        """Notes that the part has not answered; returns whether to go on waiting."""
        now = time.monotonic()
        if self._since is None:
            self._since, self._said_at = now, now - _REPEAT_SECONDS
        away = now - self._since
        if away >= self.limit_seconds or (stopping.is_set() and away >= _STOP_SECONDS):
            return False
        if away >= _QUIET_SECONDS:
            metrics.outage_seconds.labels(self.part).set(away)
            if now - self._said_at >= _REPEAT_SECONDS:
                self._said_at = now
                log.warning(
                    "the %s has been away for %.0f s (%s): what is held stays, for %.0f s at most",
                    self.part,
                    away,
                    why,
                    self.limit_seconds,
                )
        return True

    def over(self) -> None:
        """Notes that the part answers."""
        if self._since is not None and (away := time.monotonic() - self._since) >= _QUIET_SECONDS:
            log.warning("the %s answers again after %.0f s", self.part, away)
        self._since = None
        metrics.outage_seconds.labels(self.part).set(0)


def wait_out(
    part: str,
    action: Callable[[], T],
    away: type[Exception] | tuple[type[Exception], ...],
    limit_seconds: float,
    retry_seconds: float = RETRY_SECONDS,
) -> T:
    """Returns what `action` returns, after as many attempts as it takes. Raises its error, which is one of `away`, once
    the wait is given up.
    """
    outage = PartWait(part, limit_seconds)
    while True:
        try:
            result = action()
        except away as error:
            if not outage.waits(error):
                raise
            time.sleep(retry_seconds)
        else:
            outage.over()
            return result


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what caused it, each once."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _says_away(error: BaseException) -> bool:
    names = [f"{kind.__module__}.{kind.__qualname__}" for kind in type(error).__mro__]
    quotes_one = "kafka.errors.KafkaError" in names and _QUOTED in str(error)
    return quotes_one or bool(_AWAY.intersection(names))
