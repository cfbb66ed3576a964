"""SIGHUP reloads a stage's scorer while the stage keeps working.

Invariant: the signal ends nothing. Requests are served one after the other; those that arrive during a reload are
merged into one further reload. A reload that fails leaves the old scorer in place, and the log says so.
"""

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)


class Reloading:
    """Handles the signal from its construction on; a request waits until `serve` names the function that reloads."""

    def __init__(self, stage: str) -> None:
        self._stage = stage
        self._requested = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._requested.set)

    def serve(self, reload: Callable[[], Awaitable[None]] | None) -> None:
        """Serve requests from now on, for the loop's lifetime; None means that this stage has nothing to reload."""
        self._task = asyncio.ensure_future(self._serve_requests(reload))

    async def _serve_requests(self, reload: Callable[[], Awaitable[None]] | None) -> None:
        while True:
            await self._requested.wait()
            self._requested.clear()
            if reload is None:
                log.info("SIGHUP: stage %s has no scorer to reload", self._stage)
                continue
            try:
                await reload()
            except Exception:
                log.exception("stage %s keeps its scorer: the reload failed", self._stage)
            else:
                log.info("stage %s has reloaded its scorer", self._stage)
