"""Reads the option `tests` into types.

Invariant: tests that have been read can be run; malformed tests are a TestsError that names the field.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from workers.verifiers.code.values import written


class TestsError(ValueError):
    """The options do not describe tests; the text names the field."""

    __test__ = False  # pytest must not collect it, despite its name


class FunctionCase(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    expected: Any
    args: list[Any] = []
    kwargs: dict[str, Any] = {}


class StdioCase(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    stdout: str
    stdin: str = ""


class CheckedCase(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    stdin: str = ""
    stdout: str | None = None
    """One right output, which the script may compare with."""


class FunctionTests(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="function"):
    entry_point: str
    cases: list[FunctionCase]
    language: str = "python"


class StdioTests(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="stdio"):
    cases: list[StdioCase]
    language: str = "python"


class CheckerTests(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="checker"):
    script: str
    entry_point: str | None = None
    """The function that check(candidate) judges. None if check(stdin, stdout, expected) judges a program's output for
    each of `cases`.
    """
    cases: list[CheckedCase] | None = None
    language: str = "python"


Tests = FunctionTests | StdioTests | CheckerTests


@dataclass(frozen=True, slots=True)
class CodeOptions:
    tests: Tests
    partial: bool
    tolerance: float | None
    case_seconds: float

    @property
    def entry_point(self) -> str:
        """The name that the tests call; empty for a program that reads its input."""
        return getattr(self.tests, "entry_point", None) or ""


class _Options(msgspec.Struct, frozen=True):
    tests: Tests
    partial: bool = False
    tolerance: float | None = None
    time_limit_seconds: float | None = None


def read_tests(options: Mapping[str, Any], most_seconds: float) -> CodeOptions:
    """Reads a question's options. Raises TestsError."""
    try:
        read = msgspec.convert(dict(options), _Options)
        tests = _convert_values(read.tests)
    except (msgspec.ValidationError, ValueError) as error:
        raise TestsError(f"options: {error}") from error
    _check_tests(tests)
    limit = read.time_limit_seconds
    if limit is not None and not limit > 0:
        raise TestsError(f"options.time_limit_seconds: expected a positive number, got {limit}")
    if read.tolerance is not None and not read.tolerance >= 0:
        raise TestsError(f"options.tolerance: expected a number of at least 0, got {read.tolerance}")
    return CodeOptions(tests, read.partial, read.tolerance, min(limit or most_seconds, most_seconds))


def _convert_values(tests: Tests) -> Tests:
    """Converts the marked values of function tests. Raises ValueError."""
    if not isinstance(tests, FunctionTests):
        return tests
    cases = [
        FunctionCase(written(case.expected), [written(value) for value in case.args], _convert_mapping(case.kwargs))
        for case in tests.cases
    ]
    return msgspec.structs.replace(tests, cases=cases)


def _convert_mapping(values: dict[str, Any]) -> dict[str, Any]:
    return {name: written(value) for name, value in values.items()}


def _check_tests(tests: Tests) -> None:
    """Raises TestsError if the tests cannot be run."""
    if tests.cases is not None and not tests.cases:
        raise TestsError("options.tests.cases: no case: a program is not right if nothing tests it")
    if isinstance(tests, CheckerTests) and (tests.cases is None) == (tests.entry_point is None):
        raise TestsError("options.tests: a checker needs an entry_point, or cases with stdin, and not both")
    calls = isinstance(tests, FunctionTests) or (isinstance(tests, CheckerTests) and tests.cases is None)
    if calls and tests.language != "python":
        raise TestsError(f"options.tests.language: a function of {tests.language!r} cannot be called; use stdio tests")
