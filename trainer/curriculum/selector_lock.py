"""The selector's only database connection, which also proves that it is the run's only selector.

Invariant: every write of a selector goes through the connection that holds the run's advisory lock. If the connection
breaks, the lock is gone with it and the process ends, so two selectors never dispatch at the same time.

Selection rounds are written by `rewardstream prompts select`, too, while a selector runs. Who writes a later round than
the first holds the lock of the run's rounds from the look at the last round until the commit.
"""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import OperationalError

_SPACE, _ROUNDS = 0x52535F53, 0x52535F52
"""First half of a lock's key, "RS_S" for the selector and "RS_R" for its rounds, which separates it from locks of other
kinds."""
_WAIT_SECONDS = 20.0
"""Longest wait for the lock. The session of a killed predecessor ends within seconds, when the server notices its
socket; that of one whose machine or network died, within the seconds below.
"""
_KEEPALIVE = {"tcp_keepalives_idle": 5, "tcp_keepalives_interval": 3, "tcp_keepalives_count": 3}
"""The server notices by these after 5 + 3 * 3 = 14 seconds that a machine is gone, which is less than the wait for the
lock. By Linux' defaults it takes two hours, in which no selector could start."""
_UNACKNOWLEDGED = {"tcp_user_timeout": 14_000}
"""The same for an answer on its way, in milliseconds."""


class AnotherSelectorError(RuntimeError):
    """Another selector of the same run is alive."""


class SelectorSession:
    """The connection that holds the lock. Raises AnotherSelectorError if it cannot get the lock in `wait_seconds`."""

    def __init__(self, engine: Engine, run_id: str, wait_seconds: float = _WAIT_SECONDS) -> None:
        self.run_id = run_id
        self._wait_ms = int(wait_seconds * 1000)
        self._connection = engine.connect()
        try:
            self._expect_answers()
            self._lock()
        except BaseException:
            self._connection.close()
            raise

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        with self._connection.begin():
            yield self._connection

    def close(self) -> None:
        """Ends the database session and thus releases the lock, which a pooled connection would keep."""
        self._connection.invalidate()
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _expect_answers(self) -> None:
        """Has the server end the session, and the lock with it, if this machine does not answer. They are settings of
        the session and not of its start, since poolers refuse unknown ones there.
        """
        with self.transaction() as connection:
            for name, value in (_KEEPALIVE | _UNACKNOWLEDGED).items():
                connection.execute(text(f"SET {name} = {value}"))

    def _lock(self) -> None:
        key = _key(self.run_id)
        try:
            with self.transaction() as connection:
                connection.execute(text(f"SET LOCAL lock_timeout = {self._wait_ms}"))
                connection.execute(text("SELECT pg_advisory_lock(:space, :key)"), {"space": _SPACE, "key": key})
        except OperationalError as error:
            if getattr(error.orig, "sqlstate", None) != "55P03":  # lock_not_available
                raise
            raise AnotherSelectorError(
                f"another selector of run {self.run_id!r} holds its lock in the database: one run has one selector; "
                "stop the other one, or give this run another run.id"
            ) from error


def lock_rounds(connection: Connection, run_id: str) -> None:
    """Waits until no other session writes a selection round of the run, and keeps them out until the transaction
    ends.
    """
    connection.execute(text("SELECT pg_advisory_xact_lock(:space, :key)"), {"space": _ROUNDS, "key": _key(run_id)})


def _key(run_id: str) -> int:
    """Second half of the key; both halves are signed."""
    return zlib.crc32(run_id.encode()) - 2**31
