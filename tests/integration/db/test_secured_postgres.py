"""A Postgres with TLS that asks for a password: what a URL and a file say, and what a wrong one says.

The embedded server's build has no TLS, so a front of the test speaks it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from sqlalchemy import text
from support.secured_kafka import Certificates
from support.tcp_postgres import tcp_postgres
from support.tls_front import tls_front

from infra.cli.errors import ExitCode, explain
from infra.db.engine import DatabaseRefusalError, connect
from infra.local.ports import LOOPBACK
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
        with (
            tcp_postgres(folder, PASSWORD) as port,
            tls_front(port, certificates.server, folder / "server.key") as front,
        ):
            yield Secured(front, port, certificates)


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
