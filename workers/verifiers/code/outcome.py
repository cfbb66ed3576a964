"""The outcomes of a program's test cases, and the time that is left for them.

Invariant: `passed` is true only if the program's own value was found equal, or a checker accepted it.
"""

import time
from dataclasses import dataclass, field

from streams.messages import Status
from workers.sandbox.base import ExitKind, RunResult


@dataclass(frozen=True, slots=True)
class CaseOutcome:
    """The outcome of one test case."""

    status: Status
    """One of correct, wrong, timeout and oom."""
    why: str

    @property
    def passed(self) -> bool:
        return self.status is Status.CORRECT


PASSED = CaseOutcome(Status.CORRECT, "all cases pass")


def wrong(why: str) -> CaseOutcome:
    return CaseOutcome(Status.WRONG, why)


@dataclass(slots=True)
class Clock:
    """Counts down `seconds`, the time of all cases together."""

    seconds: float
    _started: float = field(default_factory=time.monotonic)

    @property
    def left(self) -> float:
        return max(self.seconds - (time.monotonic() - self._started), 0.0)


def ended(ran: RunResult, where: str) -> CaseOutcome:
    """Returns the outcome of a program that ended before it answered."""
    match ran.ending:
        case ExitKind.TIMEOUT:
            return CaseOutcome(Status.TIMEOUT, f"{where}: the time limit was reached, without an answer")
        case ExitKind.OOM:
            return CaseOutcome(Status.OOM, f"{where}: the memory limit was reached")
        case ExitKind.OUTPUT:
            return wrong(f"{where}: the output limit was reached")
        case _:
            return wrong(f"{where}: the program ended itself ({exit_text(ran.code)})")


_LIMITS = (
    ("[Errno 11]", "the limit of processes and threads was reached"),
    ("can't start new thread", "the limit of processes and threads was reached"),
    ("Resource temporarily unavailable", "the limit of processes and threads was reached"),
    ("[Errno 24]", "the limit of open files was reached"),
    ("[Errno 27]", "the limit of its files' size was reached"),
    ("[Errno 28]", "the limit of its files' size was reached"),
)


def with_limit(said: str) -> str:
    """Prefixes a failed program's message with the sandbox limit that caused it, if any."""
    limit = next((limit for sign, limit in _LIMITS if sign in said), None)
    return f"{limit}: {said}" if limit else said


def exit_text(code: int | None) -> str:
    if code is None:
        return "killed"
    return f"signal {-code}" if code < 0 else f"exit status {code}"
