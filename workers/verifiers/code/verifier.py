"""Judges programs by tests that run in the sandbox.

Invariant: the score is 1 only if every case passes, unless `partial` is asked for. Whatever the program does to its
harness counts against the program; only a sandbox that fails, or tests that cannot be read, are infra_error.
"""

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from typing import ClassVar

from infra.settings.tree import RtvSettings, SandboxSettings
from streams.messages import Question, Status
from workers.sandbox.base import Program, ProgramLimits, Sandbox, SandboxError
from workers.sandbox.factory import build_sandbox, default_limits
from workers.verifiers.answers.reasoning import after_reasoning
from workers.verifiers.base import BaseVerifier, Verdict
from workers.verifiers.code import check_script, functions, stdio
from workers.verifiers.code.blocks import program_of
from workers.verifiers.code.candidate import Candidate, CandidateError
from workers.verifiers.code.outcome import CaseOutcome, Clock
from workers.verifiers.code.tests import CheckerTests, CodeOptions, FunctionTests, StdioTests, TestsError, read_tests

MARGIN_SECONDS = 0.3
"""Part of the budget that is kept for returning the verdict: a program must end before the pool kills this process."""


class CodeVerifier(BaseVerifier):
    name = "code"
    version = "3"
    sandboxed = True
    policy = (
        "The program is a fenced block after any reasoning block, or the whole answer if there is none: among the "
        "blocks in the tests' language, the last that defines the function (or, for a program, reads its input), or "
        "the last if none does; output, transcripts and other languages are passed over. The tags `<answer>` may "
        "enclose it. Every test case must pass, each from the same state, within its time, memory and output. Returned "
        "values must be plain and equal in type and value: True is not 1 and 1.0 is not 1, but a tuple passes for a "
        "list that the test wrote, a Counter, defaultdict or OrderedDict for a dict, and a named tuple for a tuple. "
        "Printed lines must be equal except for white space at their ends. A program that fails, or a function that "
        "exits or tampers with its tests in any other way, is wrong."
    )
    options: ClassVar[Mapping[str, str]] = {
        "tests": (
            '{"kind": "function", "entry_point": "add", "cases": [{"args": [1, 2], "kwargs": {}, "expected": 3}]}, '
            '{"kind": "stdio", "cases": [{"stdin": "1 2", "stdout": "3"}], "language": "python"}, or '
            '{"kind": "checker", "script": "def check(candidate): ...", "entry_point": "add"} (with "cases": '
            '[{"stdin": "1 2"}] for an entry point: def check(stdin, stdout, expected)). What JSON cannot express: '
            '{"$type": "tuple", "value": [1, 2]} (also set, frozenset, dict of pairs, bytes in hex, float, complex)'
        ),
        "tolerance": "numbers within it are equal, absolute or relative, int and float alike (default: exact)",
        "partial": "if true, the score is the share of the cases that pass (default false)",
        "time_limit_seconds": "seconds per case, at most the settings' rtv.sandbox.case_seconds (the default)",
    }

    def __init__(self) -> None:
        self._settings = RtvSettings().sandbox

    def configure(self, settings: RtvSettings) -> None:
        self._settings = settings.sandbox

    def judge(self, question: Question, response: str) -> Verdict:
        try:
            asked = read_tests(question.options, self._settings.case_seconds)
            source = program_of(after_reasoning(response), language=asked.tests.language, entry_point=asked.entry_point)
            if not source.strip():
                return self._verdict(0.0, Status.UNPARSEABLE, "the answer is empty")
            run = _Run(build_sandbox(self._settings), self._settings, asked, source)
            return self._judged(run.outcomes(), asked)
        except (TestsError, SandboxError) as error:
            return self._verdict(None, Status.INFRA_ERROR, str(error))

    def _judged(self, outcomes: Iterator[CaseOutcome], asked: CodeOptions) -> Verdict:
        found: list[CaseOutcome] = []
        for outcome in outcomes:
            found.append(outcome)
            if not outcome.passed and not asked.partial:
                return self._verdict(0.0, outcome.status, outcome.why)
        passed = sum(outcome.passed for outcome in found)
        details = {"passed": passed, "cases": len(found)}
        if asked.partial:
            why = next((outcome.why for outcome in found if not outcome.passed), "all cases pass")
            return self._verdict(passed / len(found), Status.JUDGED, why, details)
        return self._verdict(1.0, Status.CORRECT, "all cases pass", details)


class _Run:
    """One program, its tests, and the time limit for all of them."""

    def __init__(self, sandbox: Sandbox, settings: SandboxSettings, asked: CodeOptions, source: str) -> None:
        self._sandbox = sandbox
        self._asked = asked
        self._source = source
        self._clock = Clock(settings.budget_seconds - MARGIN_SECONDS)
        self._limits = default_limits(settings, settings.budget_seconds)

    def outcomes(self) -> Iterator[CaseOutcome]:
        """Runs the tests and yields the outcome of each case. Raises SandboxError, TestsError."""
        match self._asked.tests:
            case FunctionTests(entry_point=entry_point, cases=cases):
                return functions.judge(lambda: self._candidate(entry_point), cases, self._asked.tolerance)
            case StdioTests(language=language, cases=cases):
                found = self._outputs(language, [case.stdin for case in cases])
                return stdio.judge(found, cases, self._asked.tolerance)
            case CheckerTests() as tests:
                return iter([self._checked(tests)])

    def _checked(self, tests: CheckerTests) -> CaseOutcome:
        if tests.cases is None:
            assert tests.entry_point is not None
            return self._checked_function(tests.script, tests.entry_point)
        cases = []
        for case, printed in zip(
            tests.cases, self._outputs(tests.language, [c.stdin for c in tests.cases]), strict=True
        ):
            if isinstance(printed, CaseOutcome):
                return printed
            cases.append((case.stdin, printed, case.stdout))
        with closing(self._checker(tests.script)) as checker:
            return checker.of_outputs(cases)

    def _checked_function(self, script: str, entry_point: str) -> CaseOutcome:
        try:
            with self._candidate(entry_point) as candidate, closing(self._checker(script)) as checker:
                return checker.of_candidate(candidate)
        except CandidateError as error:
            return error.outcome

    def _checker(self, script: str) -> check_script.CheckScript:
        return check_script.CheckScript(self._sandbox, script, self._remaining_limits(), self._clock)

    def _candidate(self, entry_point: str) -> Candidate:
        return Candidate(self._sandbox, self._source, entry_point, self._remaining_limits(), self._asked.case_seconds)

    def _outputs(self, language: str, inputs: list[str]) -> Iterator[str | CaseOutcome]:
        program = Program(language, self._source)
        try:
            yield from stdio.outputs(self._sandbox, program, inputs, self._case_limits)
        except ValueError as error:
            raise TestsError(f"options.tests.language: {error}") from error

    def _remaining_limits(self) -> ProgramLimits:
        return replace(self._limits, wall_seconds=self._clock.left)

    def _case_limits(self) -> ProgramLimits:
        return replace(self._limits, wall_seconds=min(self._asked.case_seconds, self._clock.left))
