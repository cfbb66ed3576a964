"""A connection to Postgres for rounds whose pool and statistics are rows of the statement."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection

from infra.db.engine import make_engine


@pytest.fixture(scope="session")
def connection(postgres_url: str) -> Iterator[Connection]:
    engine = make_engine(postgres_url)
    with engine.connect() as connection:
        yield connection
    engine.dispose()
