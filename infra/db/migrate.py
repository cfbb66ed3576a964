"""The schema's migrations, which are run from the package itself, so that a checkout and an installed wheel behave the
same.

Invariant: one process migrates at a time; others wait for it and then find nothing to do.
"""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from infra.db.engine import connect

MIGRATIONS = Path(__file__).parents[1] / "migrations"
_LOCK = 0x52535F4D  # "RS_M": any number that every migrating process shares


def alembic_config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def head() -> str:
    """The newest revision in the package."""
    revision = ScriptDirectory.from_config(alembic_config()).get_current_head()
    if revision is None:
        raise RuntimeError(f"no migrations in {MIGRATIONS}: the package is incomplete, install it again")
    return revision


def current(engine: Engine) -> str | None:
    """The database's revision; None if it was never migrated."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def upgrade_engine(engine: Engine) -> str:
    """Upgrades the schema to the newest revision, in one transaction; returns that revision."""
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        command.upgrade(alembic_config(connection), "head")
    return head()


def upgrade(url: str, connect_timeout_seconds: float = 10.0) -> str:
    """Connects, then does what `upgrade_engine` does. Raises DatabaseUrlError, DatabaseUnavailableError."""
    engine = connect(url, connect_timeout_seconds)
    try:
        return upgrade_engine(engine)
    finally:
        engine.dispose()
