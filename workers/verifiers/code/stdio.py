"""Tests that run a whole program on an input and compare what it prints.

Invariant: each case runs in a sandbox of its own. Lines must be equal except for white space at their ends and empty
lines at the end; a program that fails is wrong, whatever it printed.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from workers.sandbox.base import ExitKind, Program, ProgramLimits, RunResult, Sandbox
from workers.verifiers.code.outcome import PASSED, CaseOutcome, ended, exit_text, with_limit, wrong
from workers.verifiers.code.tests import StdioCase

TOGETHER = 2
"""Cases that run concurrently; few, since all stop if one fails, and a process has about one core."""
_SHOWN = 200


def outputs(
    sandbox: Sandbox, program: Program, inputs: Sequence[str], limits: Callable[[], ProgramLimits]
) -> Iterator[str | CaseOutcome]:
    """Yields the program's output for each input, in order, or the outcome if the run failed. Raises SandboxError."""
    for start in range(0, len(inputs), TOGETHER):
        some = inputs[start : start + TOGETHER]
        programs = [replace(program, stdin=text.encode()) for text in some]
        for number, ran in enumerate(sandbox.run_all(programs, limits()), start=start + 1):
            yield _printed(ran, f"case {number} of {len(inputs)}")


def judge(
    found: Iterator[str | CaseOutcome], cases: Sequence[StdioCase], tolerance: float | None
) -> Iterator[CaseOutcome]:
    """Yields one outcome per case, in order; `found` comes from `outputs`."""
    for number, (case, printed) in enumerate(zip(cases, found, strict=True), start=1):
        if isinstance(printed, CaseOutcome):
            yield printed
        elif same_output(case.stdout, printed, tolerance):
            yield PASSED
        else:
            yield wrong(f"case {number} of {len(cases)}: printed something else")


def same_output(expected: str, printed: str, tolerance: float | None = None) -> bool:
    """Compares line by line; with a `tolerance`, words that are numbers are equal within it, absolute or relative."""
    mine, theirs = _lines(expected), _lines(printed)
    if mine == theirs or tolerance is None:
        return mine == theirs
    return len(mine) == len(theirs) and all(
        _same_words(line.split(), other.split(), tolerance) for line, other in zip(mine, theirs, strict=True)
    )


def _lines(text: str) -> list[str]:
    lines = [line.rstrip() for line in text.split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def _same_words(mine: list[str], theirs: list[str], tolerance: float) -> bool:
    return len(mine) == len(theirs) and all(
        word == other or _same_number(word, other, tolerance) for word, other in zip(mine, theirs, strict=True)
    )


def _same_number(word: str, other: str, tolerance: float) -> bool:
    try:
        return math.isclose(float(word), float(other), rel_tol=tolerance, abs_tol=tolerance)
    except ValueError:
        return False


def _printed(ran: RunResult, where: str) -> str | CaseOutcome:
    if ran.ending is not ExitKind.EXITED:
        return ended(ran, where)
    if ran.code != 0:
        last = ran.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        return wrong(f"{where}: {exit_text(ran.code)}: {with_limit(last)}"[:_SHOWN])
    return ran.stdout.decode(errors="replace")
