"""The run that a page shows, and the engine that reads its database.

Invariant: the page cannot change the database, and no query of it lasts longer than `QUERY_SECONDS`: each of its
connections is told so before its first query.
"""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection

from infra.db.engine import make_engine
from infra.settings.tree import Settings

QUERY_SECONDS = 10
"""Time limit of one query. A page of rows takes milliseconds; a search through millions of texts is cut off rather
than kept running beside the training."""


@dataclass(frozen=True, slots=True)
class ShownRun:
    settings: Settings
    folder: Path
    engine: Engine

    @property
    def run_id(self) -> str:
        return self.settings.run.id


def open_reader(url: str, connect_timeout_seconds: float) -> Engine:
    """An engine that only reads. Raises DatabaseUrlError."""
    engine = make_engine(url, connect_timeout_seconds)

    @event.listens_for(engine, "connect")
    def restrict(connection: DBAPIConnection, _: object) -> None:
        with connection.cursor() as cursor:  # type: ignore[attr-defined]  # psycopg's has it
            cursor.execute("SET default_transaction_read_only = on")
            cursor.execute(f"SET statement_timeout = '{QUERY_SECONDS}s'")
        connection.commit()

    return engine
