"""The embedded Postgres on a TCP port, for tests that are about connections: the stack's own has a Unix socket only."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from infra.local.ports import LOOPBACK, free_port
from infra.local.postgres import EmbeddedPostgres, _program_path, _server_user
from infra.local.processes import spawn
from support.waiting import wait_until

USER = "worker"


@contextmanager
def tcp_postgres(folder: Path, password: str, method: str = "scram-sha-256") -> Iterator[int]:
    """Yields the port; `worker` may log in by `method`."""
    first = EmbeddedPostgres(folder / "data")
    first.start()
    with psycopg.connect(host=str(first._sockets), user="rewardstream", autocommit=True) as session:
        session.execute(f"CREATE ROLE {USER} LOGIN PASSWORD '{password}'")
    first.stop()
    port, data = free_port(), first.folder
    (data / "pg_hba.conf").write_text(f"host all {USER} {LOOPBACK}/32 {method}\n")
    user, group = _server_user()
    argv = [_program_path("postgres"), "-D", str(data), "-k", "", "-h", LOOPBACK, "-p", str(port)]
    child = spawn("postgres", argv, log=folder / "log", user=user, group=group)
    try:
        wait_until(lambda: "ready to accept" in child.log_tail(), "Postgres", details=child.log_tail)
        yield port
    finally:
        child.terminate(5)
