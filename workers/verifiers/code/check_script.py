"""Runs tests that are a script of the data set's author, in another sandbox than the program that the script judges.

Invariant: the script sees the candidate's values, never its process; the candidate sees neither the script nor the
expected values. A script that cannot be run is a TestsError: a defect of the data set.
"""

import json
from typing import Any

from streams.messages import Status
from workers.sandbox.base import ExitKind, ProgramLimits, Sandbox, SandboxSession, SessionEndedError
from workers.verifiers.code.candidate import OUT_OF_MEMORY, Candidate, CandidateError, harness
from workers.verifiers.code.outcome import PASSED, CaseOutcome, Clock, wrong
from workers.verifiers.code.tests import TestsError
from workers.verifiers.code.values import decode

WHERE = "the checker"


class CheckScript:
    """A script in its sandbox, for one judgement."""

    def __init__(self, sandbox: Sandbox, script: str, limits: ProgramLimits, clock: Clock) -> None:
        """Opens the sandbox. Raises SandboxError."""
        self._session: SandboxSession = sandbox.open(harness("inside_checker.py"), limits)
        self._script = script
        self._size = limits.output_bytes
        self._clock = clock

    def close(self) -> None:
        self._session.close()

    def of_outputs(self, cases: list[tuple[str, str, str | None]]) -> CaseOutcome:
        """Judges cases of (stdin, printed output, some right output). Raises TestsError."""
        return self._judge(cases, None)

    def of_candidate(self, candidate: Candidate) -> CaseOutcome:
        """Judges a function that the script calls. Raises TestsError."""
        return self._judge(None, candidate)

    def _judge(self, cases: list[tuple[str, str, str | None]] | None, candidate: Candidate | None) -> CaseOutcome:
        calls = 0
        try:
            self._session.send({"source": self._script, "cases": cases})
            while True:
                line = self._session.receive(self._clock.left, self._size)
                if line[:1] != b"C" or candidate is None:
                    return _read_outcome(line)
                calls += 1
                self._session.send(_call_candidate(candidate, line[1:], f"call {calls} of the checker"))
        except CandidateError as error:
            return error.outcome
        except SessionEndedError as error:
            return _outcome_of_end(error.ran.ending, error.ran.code)


def _call_candidate(candidate: Candidate, call: bytes, where: str) -> tuple[bool, Any]:
    """Calls the candidate for the script; returns (True, value) or (False, (exception's name, text)).

    Raises CandidateError if the candidate cannot be called again.
    """
    arguments, keywords = _read_call(call)
    try:
        return True, candidate.call(arguments, keywords, where)
    except CandidateError as error:
        if error.raised is None:
            raise
        return False, error.raised


def _read_call(text: bytes) -> tuple[list[Any], dict[str, Any]]:
    """Reads the arguments of a call. Raises TestsError."""
    try:
        arguments, keywords = json.loads(text)
        return decode(json.dumps(arguments)), decode(json.dumps(keywords))
    except (ValueError, TypeError, RecursionError) as error:
        raise TestsError(f"options.tests.script: a call that cannot be read: {error}") from error


def _read_outcome(line: bytes) -> CaseOutcome:
    """Reads the script's verdict. Raises TestsError."""
    said = line[1:].decode(errors="replace").strip('"')[:300]
    match line[:1]:
        case b"P":
            return PASSED
        case b"F":
            return wrong(f"{WHERE}: {said}")
        case b"M":
            return CaseOutcome(Status.OOM, f"{WHERE}: {OUT_OF_MEMORY}")
    raise TestsError(f"options.tests.script: {said}")


def _outcome_of_end(ending: ExitKind, code: int | None) -> CaseOutcome:
    """Returns the outcome of a script that ended without a verdict. Raises TestsError.

    A script that hangs, or fills its memory, does so because of the candidate's value.
    """
    match ending:
        case ExitKind.TIMEOUT:
            return CaseOutcome(Status.TIMEOUT, f"{WHERE}: the time limit was reached, without a verdict")
        case ExitKind.OOM:
            return CaseOutcome(Status.OOM, f"{WHERE}: {OUT_OF_MEMORY}")
        case ExitKind.OUTPUT:
            return wrong(f"{WHERE}: the output limit was reached")
    raise TestsError(f"options.tests.script: it ended its process (code {code})")
