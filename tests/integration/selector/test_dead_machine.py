"""A selector whose machine dies sends no farewell, and its lock must not outlive it for hours."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from sqlalchemy import Engine
from support.tcp_postgres import USER, tcp_postgres

from infra.db.engine import connect
from infra.local.ports import LOOPBACK
from trainer.curriculum.selector_lock import AnotherSelectorError, SelectorSession

_TCP_REPAIR = 19
"""Linux' socket option: in this mode a socket is closed without a word to the other end, as if the machine died."""


@pytest.fixture
def engine() -> Iterator[Engine]:
    """An engine of a server on TCP: a Unix socket ends with its process, whatever happens."""
    with (
        TemporaryDirectory(prefix="rewardstream-postgres-") as folder,
        tcp_postgres(Path(folder), "unused", "trust") as port,
    ):
        engine = connect(f"postgresql://{USER}@{LOOPBACK}:{port}/rewardstream")
        yield engine
        engine.dispose()


@pytest.mark.timeout(120)
def test_the_lock_of_a_machine_that_is_gone_is_free_within_the_wait_for_it(engine: Engine) -> None:
    gone = SelectorSession(engine, "r1")
    with pytest.raises(AnotherSelectorError):
        SelectorSession(engine, "r1", wait_seconds=1)
    _vanish(gone)
    with SelectorSession(engine, "r1"):
        pass


def _vanish(session: SelectorSession) -> None:
    """Takes the connection away from under the session, without a packet to the server.

    Its number stays taken: another connection that got it would be closed with the session.
    """
    number = session._connection.connection.driver_connection.pgconn.socket  # type: ignore[union-attr]  # it is open
    with socket.socket(fileno=os.dup(number)) as own, Path(os.devnull).open("rb") as nothing:
        try:
            own.setsockopt(socket.IPPROTO_TCP, _TCP_REPAIR, 1)
        except PermissionError:
            pytest.skip("TCP_REPAIR needs CAP_NET_ADMIN")
        os.dup2(nothing.fileno(), number)
