"""Opens the database that the settings name, whether or not its server runs: for commands outside of a stack.

Invariant: a server that was started for a block ends with the block.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine

from infra.db.engine import DatabaseUnavailableError, connect, parse_url
from infra.db.migrate import upgrade_engine
from infra.local.interrupts import held, interrupt_once
from infra.local.postgres import open_database
from infra.settings.database import DatabaseSettings


@contextmanager
def open_engine(database: DatabaseSettings, root: Path) -> Iterator[Engine]:
    """Yields an engine of the server that the settings name. If they name none, or the embedded one of a run that has
    ended, it is the embedded server of this folder of runs: the running one, else one that is started for the block.

    Raises DatabaseUnavailableError, DatabaseUrlError, LocalStackError.
    """
    if database.url and not is_embedded(database.url):
        with _disposing(connect(database.full_url(), database.connect_timeout_seconds)) as engine:
            yield engine
        return
    try:
        engine = connect(database.url or _newest_url(root), database.connect_timeout_seconds)
    except DatabaseUnavailableError:
        with _start_server(root) as url, _disposing(connect(url)) as engine:
            upgrade_engine(engine)
            yield engine
        return
    with _disposing(engine):
        yield engine


def running_url(database: DatabaseSettings, root: Path) -> str:
    """URL of the embedded server that the settings name, else of the newest run's, if it is running now; else empty."""
    try:
        url = database.url or _newest_url(root)
        connect(url).dispose()
    except DatabaseUnavailableError:
        return ""
    return url


@contextmanager
def _start_server(root: Path) -> Iterator[str]:
    server = open_database(DatabaseSettings(), root / "postgres")
    with interrupt_once():
        try:
            yield server.start()
        finally:
            with held():
                server.stop()


@contextmanager
def _disposing(engine: Engine) -> Iterator[Engine]:
    try:
        yield engine
    finally:
        engine.dispose()


def _newest_url(root: Path) -> str:
    """URL of the newest run's embedded server. Raises DatabaseUnavailableError if that run had none."""
    file = root / "latest" / "settings.json"
    # The one value is read, not the whole tree: a run of an older version may name settings that are gone.
    url = str(json.loads(file.read_bytes())["database"]["url"]) if file.is_file() else ""
    if not url or not is_embedded(url):
        raise DatabaseUnavailableError(f"no embedded server was started for the newest run in {root}")
    return url


def is_embedded(url: str) -> bool:
    """Whether the URL is that of an embedded server, which listens on a Unix socket only."""
    parsed = parse_url(url)
    return not parsed.host and str(parsed.query.get("host", "")).startswith("/")
