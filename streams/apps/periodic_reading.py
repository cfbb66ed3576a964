"""Reads something from Postgres again and again, next to a stage's work.

Invariant: reading takes at most 2 % of the time, however much there is to read: the longer a read takes, the rarer
reads are. A read that fails is logged and tried again; the stage does not depend on it.
"""

import asyncio
import logging
import time
from collections.abc import Callable

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

log = logging.getLogger(__name__)

EVERY_SECONDS = 15.0
"""Statistics of a run change slowly; a reading every 15 s is enough to see it."""
_MAX_TIME_FRACTION = 0.02


async def keep_reading(
    engine: Engine, name: str, read: Callable[[Connection], object], every_seconds: float = EVERY_SECONDS
) -> None:
    """Runs until it is cancelled. `read` runs in a thread."""
    while True:
        started = time.monotonic()
        try:
            await asyncio.to_thread(_read_once, engine, read)
        except SQLAlchemyError as error:
            log.warning("%s is not read: %s", name, error)
        await asyncio.sleep(max(every_seconds, (time.monotonic() - started) / _MAX_TIME_FRACTION))


def _read_once(engine: Engine, read: Callable[[Connection], object]) -> None:
    with engine.connect() as connection:
        read(connection)
