"""Tests that call a function with given arguments and compare what it returns.

Invariant: each call starts from the state that loading the program left. A candidate that ended, hung or filled its
sandbox fails that case; the next case, if it is still to be judged, gets a sandbox of its own.
"""

from collections.abc import Callable, Iterator

from workers.verifiers.code.candidate import Candidate, CandidateError
from workers.verifiers.code.outcome import PASSED, CaseOutcome, wrong
from workers.verifiers.code.tests import FunctionCase
from workers.verifiers.code.values import same


def judge(load: Callable[[], Candidate], cases: list[FunctionCase], tolerance: float | None) -> Iterator[CaseOutcome]:
    """Yields one outcome per case, in order. Raises SandboxError if `load` does; a CandidateError is an outcome."""
    candidate: Candidate | None = None
    try:
        for number, case in enumerate(cases, start=1):
            where = f"case {number} of {len(cases)}"
            if candidate is None:
                try:
                    candidate = load()
                except CandidateError as error:
                    yield from [error.outcome] * (len(cases) - number + 1)
                    return
            try:
                value = candidate.call(case.args, case.kwargs, where, last=number == len(cases))
            except CandidateError as error:
                if error.raised is None:
                    candidate.close()
                    candidate = None
                yield error.outcome
                continue
            right = same(case.expected, value, tolerance)
            yield PASSED if right else wrong(f"{where}: returned another value{_describe_types(case.expected, value)}")
    finally:
        if candidate is not None:
            candidate.close()


def _describe_types(expected: object, value: object) -> str:
    """Names the types if they differ, never the expected value: the text of a verdict may reach the policy."""
    mine, theirs = type(expected).__name__, type(value).__name__
    return f", of type {theirs}, not {mine}" if mine != theirs else ""
