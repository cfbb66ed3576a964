"""A Postgres with TLS that asks for a password: what a URL and a file say, and what a wrong one says.

The embedded server's build has no TLS, so a front of the test speaks it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest
from sqlalchemy import text
from support.secured_kafka import Certificates
from support.tls_front import tls_front
from support.waiting import wait_until

from infra.cli.errors import ExitCode, explain
from infra.db.engine import DatabaseRefusalError, connect
from infra.local.ports import LOOPBACK, free_port
from infra.local.postgres import EmbeddedPostgres, _program_path, _server_user
from infra.local.processes import spawn
from infra.settings.database import DatabaseSettings

PASSWORD = "p@ss/word hush"  # noqa: S105 (for the test's own server)


@dataclass(frozen=True)
class Secured:
    front: int
    """The port that speaks TLS."""
    plain: int
    certificates: Certificates

    def settings(self, mode: str, authority: Path, password_file: Path) -> DatabaseSettings:
        port = self.plain if mode == "require" else self.front
        url = f"postgresql://worker@{LOOPBACK}:{port}/rewardstream?sslmode={mode}&sslrootcert={authority}"
        return DatabaseSettings(url=url, password_file=password_file)


@pytest.fixture(scope="module")
def secured() -> Iterator[Secured]:
    with TemporaryDirectory(prefix="rewardstream-postgres-") as name:
        folder = Path(name)
        certificates = Certificates(folder)
        first = EmbeddedPostgres(folder / "data")
        first.start()
        with psycopg.connect(host=str(first._sockets), user="rewardstream", autocommit=True) as session:
            session.execute(f"CREATE ROLE worker LOGIN PASSWORD '{PASSWORD}'")
        first.stop()
        port, data = free_port(), first.folder
        (data / "pg_hba.conf").write_text(f"host all worker {LOOPBACK}/32 scram-sha-256\n")
        user, group = _server_user()
        argv = [_program_path("postgres"), "-D", str(data), "-k", "", "-h", LOOPBACK, "-p", str(port)]
        child = spawn("postgres", argv, log=folder / "log", user=user, group=group)
        wait_until(lambda: "ready to accept" in child.log_tail(), "the secured Postgres", details=child.log_tail)
        with tls_front(port, certificates.server, folder / "server.key") as front:
            yield Secured(front, port, certificates)
        child.terminate(5)


@pytest.fixture
def password_file(tmp_path: Path) -> Path:
    file = tmp_path / "password"
    file.write_text(PASSWORD + "\n")
    return file


def test_a_password_from_a_file_over_tls_with_a_checked_name(secured: Secured, password_file: Path) -> None:
    settings = secured.settings("verify-full", secured.certificates.authority, password_file)
    assert PASSWORD not in settings.url
    engine = connect(settings.full_url(), 5)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT current_user")) == "worker"
        assert connection.connection.driver_connection.pgconn.ssl_in_use
    engine.dispose()


@pytest.mark.parametrize(
    ("mode", "authority", "password", "reason"),
    [
        ("verify-full", "ca.pem", "wrong", "password authentication failed"),
        ("verify-full", "other.pem", PASSWORD, "certificate verify failed"),
        ("verify-full", "missing.pem", PASSWORD, "root certificate file"),
        ("require", "ca.pem", PASSWORD, "does not support SSL"),
    ],
)
def test_a_refusal_names_the_settings_and_is_no_outage(
    secured: Secured, *, password_file: Path, mode: str, authority: str, password: str, reason: str
) -> None:
    password_file.write_text(password)
    settings = secured.settings(mode, secured.certificates.folder / authority, password_file)
    with pytest.raises(DatabaseRefusalError) as caught:
        connect(settings.full_url(), 5)
    found = explain(caught.value)
    assert found is not None
    assert found[0] is ExitCode.USAGE
    assert reason in found[1]
    assert "database.password_file" in found[1]
    assert "hush" not in found[1]
