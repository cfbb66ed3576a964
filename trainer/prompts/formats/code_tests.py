"""Tests of programming tasks, as published datasets write them, in the form of the `code` scorer.

Invariant: every test of the row is in the result. A form that is not known is refused, never reduced.

Forms: {inputs, outputs} with or without `fn_name` (APPS, TACO, PRIME); a list of {input, output, testtype}
(LiveCodeBench, open-instruct's code_stdio); a list or text of assertions (MBPP, open-instruct's code); a script that
defines `check(candidate)` (HumanEval). All of them may be JSON text.
"""

import ast
import json
from collections.abc import Mapping, Sequence
from typing import Any

from trainer.prompts.dataset_errors import RowError

_EITHER = """CASES = {cases!r}


def same(got, expected):
    return got == expected or (isinstance(got, tuple) and list(got) == expected)


def check(candidate):
    for arguments, expected in CASES:
        got = candidate(*arguments)
        assert same(got, expected[0]) or same(got, expected)
"""
"""APPS and TACO write a returned value x as [x], but not everywhere; their own evaluation takes either, and so does
this.
"""


def as_tests(
    truth: Any, *, entry_point: str | None = None, prompt: str | None = None, setup: str | None = None
) -> dict[str, Any]:
    """The option `tests` of the `code` scorer. `entry_point` is the function that the tests call, if the row names it;
    `prompt` is a text that may define it; `setup` is run before assertions. Raises RowError.
    """
    if isinstance(truth, str):
        found = _json(truth)
        if found is None:
            return _of_script(truth, entry_point or _defined(prompt), setup)
        truth = found
    if isinstance(truth, Mapping):
        return _of_mapping(truth, entry_point or truth.get("entry_point"), prompt, setup)
    if isinstance(truth, Sequence) and truth and all(isinstance(case, str) for case in truth):
        return _of_assertions(truth, entry_point, setup)
    if isinstance(truth, Sequence) and truth and all(isinstance(case, Mapping) for case in truth):
        return _of_cases(truth, entry_point, prompt)
    raise RowError(f"no tests in a known form: {truth!r:.80}")


def _of_mapping(
    truth: Mapping[str, Any], entry_point: str | None, prompt: str | None, setup: str | None
) -> dict[str, Any]:
    if "kind" in truth:  # our own form
        return dict(truth)
    if "inputs" in truth and "outputs" in truth:
        return _of_inputs(truth, prompt)
    for name in ("test", "functional", "test_code"):
        if isinstance(truth.get(name), str):
            return _of_script(truth[name], entry_point or _defined(prompt), setup)
    for name in ("test_cases", "tests", "test_list"):
        if truth.get(name):
            return as_tests(truth[name], entry_point=entry_point, prompt=prompt, setup=setup)
    raise RowError(f"no tests in a known form: an object with {', '.join(map(str, truth)) or 'no key'}")


def _of_inputs(truth: Mapping[str, Any], prompt: str | None) -> dict[str, Any]:
    """{inputs, outputs}: whole texts for a program, arguments and values for the function `fn_name`."""
    inputs, outputs = truth["inputs"], truth["outputs"]
    if not isinstance(inputs, list) or not isinstance(outputs, list) or len(inputs) != len(outputs) or not inputs:
        raise RowError("tests need as many `outputs` as `inputs`, and at least one")
    name = truth.get("fn_name")
    if not name:
        return _stdio([(_lines(given), _lines(printed)) for given, printed in zip(inputs, outputs, strict=True)])
    entry_point = _qualified(str(name), prompt)
    pairs = [(_arguments(given), _expected(given, value)) for given, value in zip(inputs, outputs, strict=True)]
    if all(isinstance(value, list) and len(value) == 1 for _, value in pairs):
        return {"kind": "checker", "script": _EITHER.format(cases=pairs), "entry_point": entry_point}
    return _function(entry_point, pairs)


def _of_cases(cases: Sequence[Mapping[str, Any]], entry_point: str | None, prompt: str | None) -> dict[str, Any]:
    """A list of {input, output}. A case of `testtype` (or `type`) functional calls a function, else a program runs."""
    kinds = {str(case.get("testtype") or case.get("type") or "stdin") for case in cases}
    if not all("input" in case and "output" in case for case in cases):
        raise RowError(f"each test needs `input` and `output`, got {cases[0]!r:.80}")
    if kinds <= {"functional", "function_call", "function"}:
        name = entry_point or next((own for case in cases if (own := _function_name(case))), None)
        if not name:
            raise RowError("functional tests name no function: give `metadata.func_name` or `fn_name`")
        pairs = [(_arguments(case["input"]), _expected(case["input"], case["output"])) for case in cases]
        return _function(_qualified(name, prompt), pairs)
    if kinds <= {"stdin", "stdin_stdout", "stdio"}:
        return _stdio([(_lines(case["input"]), _lines(case["output"])) for case in cases])
    raise RowError(f"tests of the kinds {', '.join(sorted(kinds))} together are not known")


def _function_name(case: Mapping[str, Any]) -> str | None:
    metadata = case.get("metadata") or {}
    name = case.get("fn_name") or (metadata.get("func_name") if isinstance(metadata, Mapping) else None)
    return str(name) if name else None


def _of_script(script: str, entry_point: str | None, setup: str | None) -> dict[str, Any]:
    tree = _parsed(script)
    defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    if "check" in defined:
        if not entry_point:
            raise RowError("the tests define check(candidate), but the row names no `entry_point`")
        return {"kind": "checker", "script": f"{setup or ''}\n{script}".strip(), "entry_point": entry_point}
    return _of_assertions([script], entry_point, setup)


def _of_assertions(texts: Sequence[str], entry_point: str | None, setup: str | None) -> dict[str, Any]:
    """Assertions that call a function by its name, as a script that defines check(candidate)."""
    statements = "\n".join(texts)
    name = entry_point if entry_point and entry_point.isidentifier() else _called(_parsed(statements))
    body = "\n".join(f"    {line}" for line in ast.unparse(_parsed(statements)).splitlines())
    script = f"{setup or ''}\n\ndef check(candidate):\n    {name} = candidate\n{body}\n".strip()
    return {"kind": "checker", "script": script, "entry_point": name}


def _called(tree: ast.Module) -> str:
    """The one function that the assertions call and that neither they nor Python define. Raises RowError."""
    asserted = [node for node in ast.walk(tree) if isinstance(node, ast.Assert)]
    if not asserted:
        raise RowError("the tests hold no assertion")
    defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    calls = [_names(own.test) - defined - _BUILTINS for own in asserted]
    common = set.intersection(*calls)
    if len(common) != 1:
        raise RowError(
            f"the assertions do not all call one function: {', '.join(sorted(set().union(*calls))) or 'none'}"
        )
    return common.pop()


def _names(expression: ast.expr) -> set[str]:
    return {
        node.func.id for node in ast.walk(expression) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }


_BUILTINS = frozenset(dir(__builtins__) if not isinstance(__builtins__, dict) else __builtins__)


def _parsed(script: str) -> ast.Module:
    try:
        return ast.parse(script)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise RowError(f"the tests are not Python: {error}") from error


def _defined(prompt: str | None) -> str | None:
    """The last function that a Python text defines, as HumanEval's prompts do."""
    try:
        tree = ast.parse(prompt or "")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return next((node.name for node in reversed(tree.body) if isinstance(node, ast.FunctionDef)), None)


def _qualified(name: str, prompt: str | None) -> str:
    """LeetCode's tasks ask for a method of `class Solution`, and their tests name the method alone."""
    return f"Solution.{name}" if "class Solution" in (prompt or "") and "." not in name else name


def _function(name: str, pairs: Sequence[tuple[list[Any], Any]]) -> dict[str, Any]:
    cases = [{"args": arguments, "expected": expected} for arguments, expected in pairs]
    return {"kind": "function", "entry_point": name, "cases": cases}


def _stdio(pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
    return {"kind": "stdio", "cases": [{"stdin": given, "stdout": printed} for given, printed in pairs]}


def _lines(text: Any) -> str:
    """A program's input or output; some rows write it as a list of lines. Raises RowError."""
    if isinstance(text, list) and all(isinstance(line, str) for line in text):
        return "\n".join(text)
    if isinstance(text, str):
        return text
    raise RowError(f"expected the text that a program reads or prints, got {text!r:.80}")


def _arguments(given: Any) -> list[Any]:
    """A function's arguments: a list, or text with one JSON value a line. Raises RowError."""
    if isinstance(given, list):
        return given
    if not isinstance(given, str):
        raise RowError(f"expected a function's arguments as a list or as lines of JSON, got {given!r:.80}")
    return [_value(line) for line in given.split("\n") if line.strip()]


def _expected(given: Any, value: Any) -> Any:
    """A returned value; where arguments are lines of JSON, so is it."""
    return _value(value) if isinstance(given, str) and isinstance(value, str) else value


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text  # some rows leave out the quotation marks of a text


def _json(text: str) -> Any:
    """Returns None if the text is not JSON of an object or a list."""
    if text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
