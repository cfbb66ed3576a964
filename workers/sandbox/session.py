"""A conversation with the harness in a cell.

Invariant: after an error the cell is finished: there is no answer to come that could be taken for the next one.
"""

import time
from typing import Any, Self

from workers.sandbox.base import Ending, Ran, SessionEndedError
from workers.sandbox.process_tree import Cell, Gone, pump

END = b"\n"


class CellSession:
    def __init__(self, cell: Cell) -> None:
        self._cell = cell

    def send(self, request: Any) -> None:
        if self._cell.ran is not None:
            raise SessionEndedError(self._cell.ran)
        try:
            self._cell.send(request)
        except Gone as error:
            raise SessionEndedError(self._cell.finish(self._ending_when_closed(self._cell.deadline))) from error

    def receive(self, seconds: float, size: int) -> bytes:
        cell, inbox = self._cell, self._cell.inbox
        deadline = min(cell.deadline, time.monotonic() + seconds)
        inbox.limit = size + len(END)
        while (at := inbox.data.find(END)) < 0:
            if (ending := self._ending(deadline)) is not None:
                raise SessionEndedError(cell.finish(ending))
            pump([cell], deadline - time.monotonic())
            if cell.ended:
                inbox.drain()
        line = bytes(inbox.data[:at])
        del inbox.data[: at + len(END)]
        return line

    def close(self) -> Ran:
        return self._cell.finish(self._cell.ending() or Ending.EXITED)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _ending(self, deadline: float) -> Ending | None:
        """Of a session without a whole line."""
        if self._cell.ran is not None:
            return self._cell.ran.ending
        if self._cell.inbox.over:
            return Ending.OUTPUT
        if not self._cell.inbox.open:
            return self._ending_when_closed(deadline)
        return self._cell.ending() or (Ending.TIMEOUT if time.monotonic() >= deadline else None)

    def _ending_when_closed(self, deadline: float) -> Ending:
        """How it ends after its side of the channel is closed. A process closes its descriptors before it has an exit
        status, and on a busy machine long before: only the status tells an exit from a lack of memory. One that closed
        the channel and goes on has until the deadline.
        """
        while (ending := self._cell.ending()) is None and (left := deadline - time.monotonic()) > 0:
            pump([self._cell], left)
        return ending or Ending.TIMEOUT
