"""Programming tasks as benchmarks ship them: HumanEval, MBPP, APPS, TACO, PRIME's verification_info, LiveCodeBench.

Invariant: the prompt says what the tests call or how they feed the program, and shows nothing of hidden tests.
"""

import base64
import binascii
import io
import json
import pickle
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from trainer.prompts.dataset_errors import RowError
from trainer.prompts.formats.code_tests import as_tests
from trainer.prompts.formats.row_format import Columns, Row
from trainer.prompts.formats.scorer_rules import ScorerRules
from trainer.prompts.formats.truths import literal

_LARGEST_TESTS = 64 * 2**20
"""Bytes that LiveCodeBench's compressed tests may unpack to; larger ones would not fit a record either."""
_MATH_TASK = "verifiable_math"
_STDIO = "Write a Python program that reads standard input and prints the answer. Give it in one code block."
_FUNCTION = "Write the Python function, and give the whole of it in one code block."


class HumanEval:
    name: ClassVar[str] = "HumanEval"
    reads: ClassVar[Columns] = frozenset({"task_id", "prompt", "test", "entry_point", "canonical_solution"})

    def recognises(self, columns: Columns, first: Sequence[Row]) -> bool:  # noqa: ARG002  the columns say it all
        return {"prompt", "test", "entry_point"} <= columns

    def convert(self, row: Row, rules: ScorerRules) -> dict[str, Any]:  # noqa: ARG002  tests have one scorer
        prompt = _text(row, "prompt")
        asked = (
            "Complete this Python function, and give the whole function in one code block.\n\n"
            f"```python\n{prompt.rstrip()}\n```"
        )
        tests = as_tests(_text(row, "test"), entry_point=_text(row, "entry_point"))
        return _task(asked, tests, row.get("task_id"))


class Mbpp:
    name: ClassVar[str] = "MBPP"
    reads: ClassVar[Columns] = frozenset(
        {"task_id", "text", "prompt", "code", "test_list", "test_imports", "test_setup_code", "challenge_test_list"}
    )

    def recognises(self, columns: Columns, first: Sequence[Row]) -> bool:  # noqa: ARG002  the columns say it all
        return "test_list" in columns and not columns.isdisjoint({"text", "prompt"})

    def convert(self, row: Row, rules: ScorerRules) -> dict[str, Any]:  # noqa: ARG002  tests have one scorer
        listed = row["test_list"]
        if not isinstance(listed, list) or not listed:
            raise RowError(f"test_list must be a list of assertions, got {listed!r:.80}")
        setup = "\n".join([*(row.get("test_imports") or []), row.get("test_setup_code") or ""])
        tests = as_tests([*listed, *(row.get("challenge_test_list") or [])], setup=setup.strip())
        asked = row.get("text") or _text(row, "prompt")
        return _task(
            f"{asked}\n\nYour function should pass this test:\n\n```python\n{listed[0]}\n```\n\n{_FUNCTION}",
            tests,
            row.get("task_id"),
        )


class InputOutput:
    name: ClassVar[str] = "APPS, TACO"
    reads: ClassVar[Columns] = frozenset(
        {"problem_id", "question", "input_output", "starter_code", "solutions", "fn_name", "id"}
    )

    def recognises(self, columns: Columns, first: Sequence[Row]) -> bool:  # noqa: ARG002  the columns say it all
        return {"question", "input_output"} <= columns

    def convert(self, row: Row, rules: ScorerRules) -> dict[str, Any]:  # noqa: ARG002  tests have one scorer
        starter = row.get("starter_code") or ""
        tests = as_tests(row["input_output"], prompt=starter)
        return _task(_with_starter(_text(row, "question"), starter, tests), tests, row.get("problem_id"))


class VerificationInfo:
    name: ClassVar[str] = "PRIME's verification_info"
    reads: ClassVar[Columns] = frozenset(
        {"problem", "prompt", "verification_info", "problem_id", "task_type", "source", "in_source_id"}
    )

    def recognises(self, columns: Columns, first: Sequence[Row]) -> bool:  # noqa: ARG002  the columns say it all
        return "verification_info" in columns and not columns.isdisjoint({"problem", "prompt"})

    def convert(self, row: Row, rules: ScorerRules) -> dict[str, Any]:
        info = row["verification_info"]
        info = literal(info, "verification_info") if isinstance(info, str) else info
        if not isinstance(info, Mapping):
            raise RowError(f"verification_info must be an object, got {info!r:.80}")
        prompt = row.get("prompt") or row.get("problem")
        if info.get("test_cases"):
            language = str(info.get("language") or "python")
            tests = as_tests(info["test_cases"], prompt=prompt if isinstance(prompt, str) else None)
            return _task(
                prompt, tests | ({} if language == "python" else {"language": language}), row.get("problem_id")
            )
        if info.get("ground_truth") is None:
            raise RowError(f"verification_info has neither test_cases nor ground_truth: {', '.join(info)}")
        task = str(row.get("task_type") or row.get("source") or "")
        scorer = rules.choose(task or None, "math" if task == _MATH_TASK else None)
        return {
            "domain": "mathematics" if scorer == "math" else str(row.get("task_type") or "verifiable"),
            "prompt": prompt,
            "verifier": scorer,
            "ground_truth": str(info["ground_truth"]),
            "source": row.get("problem_id"),
        }


class LiveCodeBench:
    name: ClassVar[str] = "LiveCodeBench"
    reads: ClassVar[Columns] = frozenset(
        {"question_content", "question_id", "starter_code", "public_test_cases", "private_test_cases", "metadata"}
    )

    def recognises(self, columns: Columns, first: Sequence[Row]) -> bool:  # noqa: ARG002  the columns say it all
        return {"question_content", "public_test_cases"} <= columns

    def convert(self, row: Row, rules: ScorerRules) -> dict[str, Any]:  # noqa: ARG002  tests have one scorer
        starter = row.get("starter_code") or ""
        cases = [*_cases(row["public_test_cases"]), *_cases(row.get("private_test_cases") or [])]
        metadata = row.get("metadata") or {}
        metadata = literal(metadata, "metadata") if isinstance(metadata, str) else metadata
        tests = as_tests(cases, entry_point=metadata.get("func_name"), prompt=starter)
        return _task(_with_starter(_text(row, "question_content"), starter, tests), tests, row.get("question_id"))


class _PlainUnpickler(pickle.Unpickler):
    """Unpickles texts, numbers and lists. A pickle that names a class or a function is refused: nothing in it runs."""

    def find_class(self, module: str, name: str) -> Any:
        raise RowError(f"private_test_cases name {module}.{name}, which tests never do")


def _cases(value: Any) -> list[Any]:
    """A list of tests: as it is, as JSON, or as LiveCodeBench packs it (base64 of zlib of a pickle of JSON). Raises
    RowError.
    """
    if isinstance(value, str) and value.lstrip()[:1] != "[":
        value = _unpacked(value)
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise RowError(f"the tests are not JSON: {error}") from error
    if not isinstance(value, list):
        raise RowError(f"the tests are not a list: {value!r:.80}")
    return value


def _unpacked(text: str) -> Any:
    """Raises RowError."""
    try:
        unpacking = zlib.decompressobj()
        raw = unpacking.decompress(base64.b64decode(text, validate=True), _LARGEST_TESTS)
        if unpacking.unconsumed_tail:
            raise RowError(f"private_test_cases unpack to more than {_LARGEST_TESTS} bytes")
        return _PlainUnpickler(io.BytesIO(raw)).load()
    except (binascii.Error, zlib.error, pickle.UnpicklingError, EOFError, ValueError, IndexError, KeyError) as error:
        if isinstance(error, RowError):
            raise
        raise RowError(f"private_test_cases cannot be unpacked: {error}") from error


def _with_starter(question: str, starter: str, tests: Mapping[str, Any]) -> str:
    ask = _STDIO if tests["kind"] == "stdio" else _FUNCTION
    code = f"\n\n```python\n{starter.rstrip()}\n```" if starter.strip() else ""
    name = tests.get("entry_point")
    called = f" The tests call `{name}`." if name and not starter.strip() else ""
    return f"{question.strip()}{code}\n\n{ask}{called}"


def _task(prompt: Any, tests: Mapping[str, Any], source: Any) -> dict[str, Any]:
    return {
        "domain": "coding",
        "prompt": prompt,
        "verifier": "code",
        "options": {"tests": dict(tests)},
        "source": None if source is None else str(source),
    }


def _text(row: Row, name: str) -> str:
    """Raises RowError."""
    value = row.get(name)
    if not isinstance(value, str) or not value.strip():
        raise RowError(f"{name} must be a text, got {value!r:.80}")
    return value
