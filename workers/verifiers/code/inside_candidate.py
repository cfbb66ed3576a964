"""Runs inside the sandbox, after inside_values: loads the candidate's module once and calls it once per process.

Invariant: each call except the last is made in a fork of the state that loading left. The last needs no fork, since
nothing follows it; a fork would cost a trivial program a fifth of its time. An answer is only the candidate's word: the
candidate shares this process and may change all of it, but it learns nothing except its own inputs.

Requests: {source, entry_point}, then calls (arguments, keyword arguments, whether it is the last). Answers, one per
line: R ready, V value, E raised, U unfit value, M out of memory, D died with an exit status, N no such entry point.
A fork's answer counts only if K follows it: K shows that the harness lived to see the fork end, so a program that kills
its harness has no answer, whichever of the two is faster.
"""

import os

TYPE_CHECKING = False  # typing.TYPE_CHECKING would need an import
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from workers.sandbox.inside_init import receive, reply
    from workers.verifiers.code.inside_values import encode, text

ANSWERED = 77
"""Exit status of a fork that has answered."""
_SHOWN = 200


def load(source: str, entry_point: str) -> Callable[..., Any] | None:
    """Returns the function, or for `Class.method` the method of a new object; None if it is not defined."""
    space: dict[str, Any] = {"__name__": "candidate", "__builtins__": __builtins__}
    exec(compile(source, "candidate.py", "exec", dont_inherit=True), space)  # noqa: S102  this runs in the sandbox
    owner, _, method = entry_point.rpartition(".")
    found = space.get(owner or method)
    if owner and found is not None:
        found = getattr(found(), method, None)
    return found if callable(found) else None


def raised(error: BaseException) -> bytes:
    try:
        said = str(error)[:_SHOWN]
    except BaseException:  # noqa: BLE001  a hostile __str__
        said = ""
    return f"E[{text(type(error).__name__)},{text(said)}]".encode()


def outcome(function: Callable[..., Any], arguments: list[Any], keywords: dict[str, Any]) -> bytes:
    try:
        value = function(*arguments, **keywords)
    except MemoryError:
        return b"M"
    except BaseException as error:  # noqa: BLE001  SystemExit too is an answer
        return raised(error)
    try:
        return f"V{encode(value)}".encode()
    except MemoryError:
        return b"M"
    except BaseException as error:  # noqa: BLE001  a hostile value
        return f"U{text(str(error)[:_SHOWN])}".encode()


def call(function: Callable[..., Any], arguments: list[Any], keywords: dict[str, Any]) -> None:
    pid = os.fork()
    if pid == 0:
        try:
            reply(outcome(function, arguments, keywords))
        except BaseException:  # noqa: BLE001  a fork never returns
            os._exit(1)
        os._exit(ANSWERED)
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    reply(b"K" if code == ANSWERED else f"D{code}".encode())


def serve() -> None:
    job = receive()
    try:
        function = load(job["source"], job["entry_point"])
    except MemoryError:
        reply(b"M")
        return
    except BaseException as error:  # noqa: BLE001  SystemExit while loading too
        reply(raised(error))
        return
    reply(b"R" if function else b"N")
    while function:
        arguments, keywords, last = receive()
        if last:
            reply(outcome(function, arguments, keywords))
            return
        call(function, arguments, keywords)


if __name__ == "__main__":
    serve()
