"""One embedded Postgres for the session; each test gets a database of its own."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from sqlalchemy import Engine, text

from infra.db.engine import make_engine, parse_url
from infra.db.migrate import upgrade_engine
from infra.local.postgres import EmbeddedPostgres

_numbers = count()


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    # Not below pytest's own folder: another pytest that starts closes that one to the server's user.
    with TemporaryDirectory(prefix="rewardstream-postgres-") as folder:
        server = EmbeddedPostgres(Path(folder) / "data")
        yield server.start()
        server.stop()


@pytest.fixture
def empty_database(postgres_url: str) -> Iterator[str]:
    """URL of a database without any table."""
    name = f"test_{next(_numbers)}"
    admin = make_engine(postgres_url).execution_options(isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield parse_url(postgres_url).set(database=name).render_as_string(hide_password=False)
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()


@pytest.fixture
def engine(empty_database: str) -> Iterator[Engine]:
    """A migrated database."""
    engine = make_engine(empty_database)
    upgrade_engine(engine)
    yield engine
    engine.dispose()
