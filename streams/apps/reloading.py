"""SIGHUP: a stage loads its scorer anew while it works on.

Invariant: the signal ends nothing. Wishes are served one after the other; those that come while one is served are
served once more together. A wish that fails leaves the old scorer, and the log says so.
"""

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)


class Reloading:
    """Takes the signal from its construction on, and keeps the wish until `serve` says who fulfils it."""

    def __init__(self, stage: str) -> None:
        self._stage = stage
        self._requested = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._requested.set)

    def serve(self, reload: Callable[[], Awaitable[None]] | None) -> None:
        """From now on, for the loop's lifetime; None says that this stage has nothing to load."""
        self._task = asyncio.ensure_future(self._serve_requests(reload))

    async def _serve_requests(self, reload: Callable[[], Awaitable[None]] | None) -> None:
        while True:
            await self._requested.wait()
            self._requested.clear()
            if reload is None:
                log.info("SIGHUP: stage %s has no scorer to load anew", self._stage)
                continue
            try:
                await reload()
            except Exception:
                log.exception("stage %s keeps its scorer: loading it anew failed", self._stage)
            else:
                log.info("stage %s has loaded its scorer anew", self._stage)
