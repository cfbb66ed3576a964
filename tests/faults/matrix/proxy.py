"""A TCP proxy on loopback, through which a run's clients reach a broker or a database.

Invariant: in the state `open` every byte passes in its order. In any other state none does: `shut` refuses new
connections and closes those that there are, `stalled` keeps them and lets nothing through.
"""

import asyncio
import contextlib
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from infra.local.ports import LOOPBACK, free_port

_CHUNK = 65_536


class Proxy:
    """`target`: a port on loopback, or the path of a Unix socket; `aim` sets it."""

    def __init__(self) -> None:
        self.port = free_port()
        self.target: int | Path = 0
        self._server: asyncio.Server | None = None
        self._pairs: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._passing = asyncio.Event()
        self._passing.set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.open()

    def aim(self, target: int | Path) -> None:
        self.target = target

    def open(self) -> None:
        self._call(self._open())

    def shut(self) -> None:
        self._call(self._shut())

    def stall(self) -> None:
        self._loop.call_soon_threadsafe(self._passing.clear)

    def flow(self) -> None:
        self._loop.call_soon_threadsafe(self._passing.set)

    def drop(self) -> None:
        """Closes every connection; new ones are taken."""
        self._call(self._drop())

    def close(self) -> None:
        self.shut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _call(self, action: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(action, self._loop).result()

    async def _open(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, LOOPBACK, self.port)

    async def _shut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        await self._drop()

    async def _drop(self) -> None:
        for writer in list(self._pairs):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._pairs.add(writer)
        try:
            if isinstance(self.target, Path):
                far_reader, far_writer = await asyncio.open_unix_connection(self.target)
            else:
                far_reader, far_writer = await asyncio.open_connection(LOOPBACK, self.target)
        except OSError:
            self._end(writer)
            return
        self._pairs.add(far_writer)
        await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK):
                await self._passing.wait()
                writer.write(data)
                await writer.drain()
        self._end(writer)

    def _end(self, writer: asyncio.StreamWriter) -> None:
        self._pairs.discard(writer)
        writer.close()
