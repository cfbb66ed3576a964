"""Reading the calibration goes on whatever the database says."""

import asyncio
import logging
from pathlib import Path

import pytest
from sqlalchemy import QueuePool, create_engine

from streams.apps.calibration import keep_calibration


def test_what_cannot_be_read_is_logged_and_tried_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A pool without a free connection raises no OperationalError."""
    engine = create_engine(
        f"sqlite:///{tmp_path}/scores", poolclass=QueuePool, pool_size=1, max_overflow=0, pool_timeout=0.01
    )

    async def read() -> None:
        async with asyncio.timeout(30):
            task = asyncio.create_task(keep_calibration(engine, "run", every_seconds=0.01))
            while len(caplog.messages) < 2:
                await asyncio.wait([task], timeout=0.01)
                assert not task.done()
            task.cancel()

    with engine.connect(), caplog.at_level(logging.WARNING, "streams.apps.periodic_reading"):
        asyncio.run(read())
    assert all("calibration is not read" in message for message in caplog.messages)
    engine.dispose()
