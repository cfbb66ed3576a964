"""A conversation with the harness in a process tree.

Invariant: after an error the tree is finished, so no late answer can be taken for the next one.
"""

import time
from typing import Any, Self

from workers.sandbox.base import ExitKind, RunResult, SessionEndedError
from workers.sandbox.process_tree import ChannelClosed, ProcessTree, pump

END = b"\n"


class ProcessTreeSession:
    def __init__(self, tree: ProcessTree) -> None:
        self._tree = tree

    def send(self, request: Any) -> None:
        if self._tree.ran is not None:
            raise SessionEndedError(self._tree.ran)
        try:
            self._tree.send(request)
        except ChannelClosed as error:
            raise SessionEndedError(self._tree.finish(self._ending_when_closed(self._tree.deadline))) from error

    def receive(self, seconds: float, size: int) -> bytes:
        tree, inbox = self._tree, self._tree.inbox
        deadline = min(tree.deadline, time.monotonic() + seconds)
        inbox.limit = size + len(END)
        while (at := inbox.data.find(END)) < 0:
            if (ending := self._ending(deadline)) is not None:
                raise SessionEndedError(tree.finish(ending))
            pump([tree], deadline - time.monotonic())
            if tree.ended:
                inbox.drain()
        line = bytes(inbox.data[:at])
        del inbox.data[: at + len(END)]
        return line

    def close(self) -> RunResult:
        return self._tree.finish(self._tree.ending() or ExitKind.EXITED)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _ending(self, deadline: float) -> ExitKind | None:
        """How a session without a whole line ended, or None while it runs."""
        if self._tree.ran is not None:
            return self._tree.ran.ending
        if self._tree.inbox.over:
            return ExitKind.OUTPUT
        if not self._tree.inbox.open:
            return self._ending_when_closed(deadline)
        return self._tree.ending() or (ExitKind.TIMEOUT if time.monotonic() >= deadline else None)

    def _ending_when_closed(self, deadline: float) -> ExitKind:
        """How it ends after its side of the channel is closed. A process closes its descriptors before it has an exit
        status, and on a busy machine long before: only the status tells an exit from a lack of memory. One that closed
        the channel and goes on has until the deadline.
        """
        while (ending := self._tree.ending()) is None and (left := deadline - time.monotonic()) > 0:
            pump([self._tree], left)
        return ending or ExitKind.TIMEOUT
