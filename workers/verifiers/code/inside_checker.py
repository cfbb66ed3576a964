"""Runs inside a sandbox of its own, after inside_values: calls `check` of the data set author's script.

Invariant: the candidate runs in another sandbox. Its values come through the host, as exact builtin types.

First request: {source, cases}. If `cases` is None, check(candidate) runs and its calls go to the host: C call, which
the host answers with (True, value) or (False, (exception's name, text)). Otherwise check(stdin, stdout, expected) runs
for each case. Answers at the end: P passed, F failed, X the script's own defect, M out of memory.
"""

import builtins

TYPE_CHECKING = False  # typing.TYPE_CHECKING would need an import
if TYPE_CHECKING:
    from typing import Any

    from workers.sandbox.inside_init import receive, reply
    from workers.verifiers.code.inside_values import Refused, encode, text

_SHOWN = 200
_OWN_DEFECTS = (NameError, ImportError, SyntaxError)
"""Exceptions of the script's own: a candidate's value never makes a script raise these."""


class Defect(Exception):  # noqa: N818  the script's, not ours
    """The script itself is at fault."""


class RemoteCandidateError(Exception):
    """The candidate raised something that is not a builtin exception."""


class RemoteCandidate:
    """Stands in for the candidate's function: sends each call to the other sandbox."""

    def __init__(self) -> None:
        self.calls = 0
        self.raised = False

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        self.calls += 1
        try:
            line = f"C[{encode(list(arguments))},{encode(keywords)}]"
        except Refused as error:
            raise Defect(f"check passes the candidate a {error}, which cannot leave the script's sandbox") from None
        reply(line.encode())
        returned, answer = receive()
        if returned:
            return answer
        self.raised = True
        name, said = answer
        kind = getattr(builtins, name, None)
        if isinstance(kind, type) and issubclass(kind, Exception):
            raise kind(said)
        raise RemoteCandidateError(f"{name}: {said}")


def said(error: BaseException) -> str:
    return text(f"{type(error).__name__}: {error}"[:_SHOWN])


def verdict(job: dict[str, Any]) -> str:
    candidate = RemoteCandidate()
    try:
        space: dict[str, Any] = {"__name__": "checker", "__builtins__": __builtins__}
        exec(compile(job["source"], "checker.py", "exec", dont_inherit=True), space)  # noqa: S102  this runs in the sandbox
        check = space.get("check")
        if not callable(check):
            raise Defect("the script defines no check")  # noqa: TRY301  reported like every failure while loading
    except BaseException as error:  # noqa: BLE001  SystemExit too is a script's end
        return f"X{said(error)}"
    try:
        if job["cases"] is None:
            passed = check(candidate) is not False
        else:
            passed = all(check(*case) is not False for case in job["cases"])
    except MemoryError:
        return "M"
    except BaseException as error:  # noqa: BLE001  SystemExit too is a script's end
        early = job["cases"] is None and not candidate.calls and not isinstance(error, AssertionError)
        own = early or isinstance(error, Defect) or (isinstance(error, _OWN_DEFECTS) and not candidate.raised)
        return f"{'X' if own else 'F'}{said(error)}"
    if job["cases"] is None and not candidate.calls:
        return f"X{text('check never called the candidate')}"
    return "P" if passed else f"F{text('check returned False')}"


if __name__ == "__main__":
    reply(verdict(receive()).encode())
