"""What a code answer is, what its tests may be, and which values are equal."""

import math
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.settings.tree import RtvSettings
from streams.messages import Question, Status
from workers.verifiers.code import CodeVerifier
from workers.verifiers.coding import inside_values
from workers.verifiers.coding.blocks import program_of
from workers.verifiers.coding.stdio import same_output
from workers.verifiers.coding.values import decode, same, written

SETTINGS = RtvSettings.model_validate(
    {"sandbox": {"case_seconds": 2, "interpreters": {"bash": ["bash"]}, "budget_seconds": 6}}
)


@pytest.fixture(scope="module")
def code() -> CodeVerifier:
    verifier = CodeVerifier()
    verifier.configure(SETTINGS)
    return verifier


def judged(code: CodeVerifier, response: str, **options: Any) -> tuple[float | None, Status, str]:
    verdict = code.verify(Question(prompt="?", verifier="code", options=options), response)
    return verdict.score, verdict.status, verdict.why


def function(*cases: dict[str, Any], entry_point: str = "f") -> dict[str, Any]:
    return {"kind": "function", "entry_point": entry_point, "cases": list(cases)}


# The program in a response


@pytest.mark.parametrize(
    ("response", "program"),
    [
        ("x = 1", "x = 1"),
        ("```python\nx = 1\n```", "x = 1"),
        ("First\n```\na\n```\nthen\n```py\nb\n```\nso.", "b"),
        ("~~~\na\n~~~", "a"),
        ("````\n```\na\n```\n````", "```\na\n```"),
        ("```\na\n", "a\n"),
        ("```python\nx = '''\n  ```not a fence\n'''\n```", "x = '''\n  ```not a fence\n'''"),
        ("Use ```x``` here", "Use ```x``` here"),
        ("   ```\n   a\n   ```", "   a"),
        ("```\r\na\r\n```\r\n", "a\r"),
        ("```\n```", ""),
    ],
)
def test_the_last_fenced_block_or_all(response: str, program: str) -> None:
    assert program_of(response) == program


def test_only_what_stands_after_the_reasoning_counts(code: CodeVerifier) -> None:
    tests = function({"args": [], "expected": 1})
    right = "```python\ndef f(): return 1\n```"
    assert judged(code, f"<think>{right}</think> I do not know", tests=tests)[:2] == (0.0, Status.WRONG)
    assert judged(code, f"<think>hm</think>{right}", tests=tests)[:2] == (1.0, Status.CORRECT)
    assert judged(code, f"<think>{right}", tests=tests)[:2] == (0.0, Status.UNPARSEABLE)


# Tests that are none


@pytest.mark.parametrize(
    ("options", "where"),
    [
        ({}, "tests"),
        ({"tests": 3}, "tests"),
        ({"tests": {"kind": "magic"}}, "kind"),
        ({"tests": function()}, "no case"),
        ({"tests": {"kind": "stdio", "cases": []}}, "no case"),
        ({"tests": {"kind": "function", "cases": [{"args": [], "expected": 1}]}}, "entry_point"),
        ({"tests": function({"args": 3, "expected": 1})}, "args"),
        ({"tests": function({"args": []})}, "expected"),
        ({"tests": function({"args": [], "expectd": 1})}, "expectd"),
        ({"tests": function({"args": [], "expected": {"$type": "decimal", "value": 1}})}, "decimal"),
        ({"tests": function({"args": [], "expected": {"$type": "set", "value": 1}})}, "set"),
        ({"tests": {**function({"args": [], "expected": 1}), "language": "bash"}}, "language"),
        ({"tests": {"kind": "stdio", "cases": [{"stdout": ""}], "language": "cobol"}}, "cobol"),
        ({"tests": {"kind": "checker", "script": "def check(f): f()"}}, "entry_point"),
        ({"tests": {"kind": "checker", "script": "def chek(f): f()", "entry_point": "f"}}, "defines no check"),
        ({"tests": {"kind": "checker", "script": "def check(f) f()", "entry_point": "f"}}, "SyntaxError"),
        ({"tests": {"kind": "checker", "script": "def check(f): g(f())", "entry_point": "f"}}, "NameError"),
        ({"tests": {"kind": "checker", "script": "def check(f): pass", "entry_point": "f"}}, "never called"),
        ({"tests": {"kind": "checker", "script": "def check(f): f(print)", "entry_point": "f"}}, "builtin_function"),
        ({"tests": {"kind": "checker", "script": "import os; os._exit(0)", "entry_point": "f"}}, "ended its process"),
        ({"tests": function({"args": [], "expected": 1}), "time_limit_seconds": 0}, "time_limit_seconds"),
        ({"tests": function({"args": [], "expected": 1}), "tolerance": -1}, "tolerance"),
        ({"tests": function({"args": [], "expected": 1}), "partial": "yes"}, "partial"),
    ],
)
def test_tests_that_cannot_be_read_are_no_verdict(code: CodeVerifier, options: dict[str, Any], where: str) -> None:
    score, status, why = judged(code, "def f(): return 1", **options)
    assert (score, status) == (None, Status.INFRA_ERROR)
    assert where in why


def test_a_candidate_cannot_make_its_checker_look_defective(code: CodeVerifier) -> None:
    tests = {"kind": "checker", "entry_point": "f", "script": "def check(f): assert f() == 1"}
    for name in ("NameError", "ImportError", "SyntaxError", "AssertionError", "MemoryError", "SystemExit"):
        score, _, why = judged(code, f"def f(): raise {name}", tests=tests)
        assert score == 0.0, why


# Verdicts


def test_a_share_of_the_cases(code: CodeVerifier) -> None:
    cases = [{"args": [n], "expected": n} for n in range(6)]
    source = (
        "import os\ndef f(n):\n    if n == 1: os._exit(0)\n    if n == 2: os.kill(os.getppid(), 9)\n"
        "    if n == 3: return -1\n    if n == 4: raise ValueError\n    return n"
    )
    score, status, _ = judged(code, source, tests=function(*cases), partial=True)
    assert status is Status.JUDGED
    assert score == pytest.approx(3 / 6)  # 0, 2, which answered before its harness ended, and 5
    assert judged(code, "x", tests=function(*cases), partial=True)[:2] == (0.0, Status.JUDGED)


def test_every_case_starts_from_the_same_state(code: CodeVerifier) -> None:
    tests = function(*[{"args": [], "expected": 1}] * 3)
    assert judged(code, "n = []\ndef f():\n    n.append(1)\n    return len(n)", tests=tests)[1] is Status.CORRECT


def test_a_case_has_its_own_time_limit(code: CodeVerifier) -> None:
    tests = function({"args": [0.05], "expected": None}, {"args": [30], "expected": None})
    score, status, why = judged(code, "from time import sleep as f", tests=tests, time_limit_seconds=0.5)
    assert (score, status) == (0.0, Status.TIMEOUT)
    assert "case 2 of 2" in why


def test_all_cases_together_have_the_budget(code: CodeVerifier) -> None:
    tests = function(*[{"args": [1.5], "expected": None}] * 20)
    score, status, why = judged(code, "from time import sleep as f", tests=tests)
    assert (score, status) == (0.0, Status.TIMEOUT)
    assert "of 20" in why


def test_methods_and_keyword_arguments(code: CodeVerifier) -> None:
    source = "class Solution:\n    def two(self, a, *, b=0): return [a, b]"
    tests = function({"args": [1], "kwargs": {"b": 2}, "expected": [1, 2]}, entry_point="Solution.two")
    assert judged(code, source, tests=tests)[1] is Status.CORRECT


def test_a_checker_sees_exceptions_and_values(code: CodeVerifier) -> None:
    script = (
        "def check(f):\n    assert f((1, {2}), k=b'x') == ((1, {2}), b'x')\n"
        "    try: f(None, k=1)\n    except ValueError as e: assert 'no k' in str(e)\n    else: assert False"
    )
    tests = {"kind": "checker", "entry_point": "f", "script": script}
    source = "def f(a, k):\n    if k == 1: raise ValueError('no k')\n    return (a, k)"
    assert judged(code, source, tests=tests)[1] is Status.CORRECT


def test_a_checker_that_judges_what_is_printed(code: CodeVerifier) -> None:
    script = "def check(stdin, stdout, expected):\n    return sorted(stdout.split()) == sorted(stdin.split())"
    tests = {"kind": "checker", "script": script, "cases": [{"stdin": "3 1 2"}, {"stdin": "b a"}]}
    assert judged(code, "print(*reversed(input().split()))", tests=tests)[1] is Status.CORRECT
    assert judged(code, "print(3, 1, 2)", tests=tests)[1] is Status.WRONG
    assert judged(code, "1 / 0", tests=tests)[1] is Status.WRONG


def test_another_language(code: CodeVerifier) -> None:
    tests = {"kind": "stdio", "language": "bash", "cases": [{"stdin": "4 5\n", "stdout": "9"}]}
    assert judged(code, "```bash\nread -r a b\necho $((a + b))\n```", tests=tests)[1] is Status.CORRECT
    assert judged(code, "```bash\necho 8\n```", tests=tests)[1] is Status.WRONG


def test_no_verdict_tells_the_expected_value(code: CodeVerifier) -> None:
    assert "31337" not in judged(code, "def f(): return 1", tests=function({"expected": 31337}))[2]


# Values

HUGE = 10**400
"""An int beyond every float."""
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.complex_numbers(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text() | st.integers() | st.tuples(st.booleans(), st.floats()), inner, max_size=4)
        | st.frozensets(st.integers() | st.text() | st.frozensets(st.booleans()), max_size=4)
        | st.sets(st.integers() | st.binary(), max_size=4)
    ),
    max_leaves=12,
)


@given(PLAIN)
def test_every_plain_value_comes_back_as_it_was(value: Any) -> None:
    back = decode(inside_values.encode(value))
    assert same(value, back)
    assert same(back, value)
    assert repr(back) == repr(value) or "{" in repr(value)  # a set's order may differ


@given(PLAIN, PLAIN)
def test_values_of_other_types_differ(one: Any, other: Any) -> None:
    if type(one) is not type(other) and {type(one), type(other)} != {list, tuple}:
        assert not same(one, other)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_line_does_more_than_be_refused(line: bytes) -> None:
    with suppress(ValueError):
        decode(line)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{}",
        "[]",
        "1.5",
        "NaN",
        '["x"]',
        '["s",["l"]]',
        '["d",[1]]',
        '["i","zz"]',
        "9" * 5000,
        "[" * 100000,
        '["f",1]',
    ],
)
def test_lines_that_are_no_values(line: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  each for a reason of its own
        decode(line)


@pytest.mark.parametrize(
    ("expected", "got", "tolerance", "equal"),
    [
        (1, True, None, False),
        (True, 1, None, False),
        (1, 1.0, None, False),
        (1.0, 1, None, False),
        (0, False, 0.1, False),
        (math.nan, math.nan, None, True),
        (0.3, 0.1 + 0.2, None, False),
        (0.3, 0.1 + 0.2, 1e-9, True),
        (1, 1.0, 0.0, True),
        (HUGE, 1.0, 1e-6, False),
        (HUGE, HUGE + 1, 1e-6, False),
        (math.inf, math.inf, 1e-6, True),
        (math.inf, -math.inf, 1e-6, False),
        ([1, 2], (1, 2), None, True),
        ((1, 2), [1, 2], None, False),
        ([1, [2]], (1, (2,)), None, True),
        ([1, 2], [1, 2, 3], None, False),
        ([], [], None, True),
        ([], {}, None, False),
        ("", None, None, False),
        ({1}, {True}, None, False),
        ({1, 2}, {2, 1}, None, True),
        ({1}, frozenset({1}), None, False),
        ({"a": 1}, {"a": True}, None, False),
        ({1: "a"}, {True: "a"}, None, False),
        ({"a": 1, "b": [0.1]}, {"b": [0.1 + 1e-12], "a": 1}, 1e-9, True),
        ("a", b"a", None, False),
        (1j, 1j, None, True),
        (-0.0, 0.0, None, True),
    ],
    ids=range(29),
)
def test_which_values_are_equal(expected: Any, got: Any, tolerance: float | None, *, equal: bool) -> None:
    assert same(expected, got, tolerance) is equal


@pytest.mark.parametrize(
    ("form", "value"),
    [
        ({"$type": "tuple", "value": [1, {"$type": "set", "value": [2]}]}, (1, {2})),
        ({"$type": "dict", "value": [[1, "a"], [{"$type": "tuple", "value": [2, 3]}, "b"]]}, {1: "a", (2, 3): "b"}),
        ({"$type": "bytes", "value": "00ff"}, b"\x00\xff"),
        ({"$type": "float", "value": "inf"}, math.inf),
        ({"$type": "complex", "value": [1, 2]}, 1 + 2j),
        ({"a": {"$type": "frozenset", "value": []}}, {"a": frozenset()}),
    ],
)
def test_values_that_json_has_no_form_for(form: Any, value: Any) -> None:
    assert written(form) == value


class IntSubclass(int):
    pass


@pytest.mark.parametrize("value", [IntSubclass(1), [IntSubclass(1)], object(), print, int, iter([]), range(3)])
def test_what_is_no_plain_value_is_refused(value: Any) -> None:
    with pytest.raises(inside_values.Refused):
        inside_values.encode(value)


# Printed lines


@pytest.mark.parametrize(
    ("expected", "printed", "tolerance", "equal"),
    [
        ("3", "3\n", None, True),
        ("3\n", "3", None, True),
        ("1\n2", "1  \n2\t\n\n\n", None, True),
        ("1\n2", "1\r\n2\r\n", None, True),
        ("1 2", "1  2", None, False),
        ("1\n2", "1 2", None, False),
        ("1", " 1", None, False),
        ("\n1", "1", None, False),
        ("", "\n", None, True),
        ("0.5", "0.50", None, False),
        ("0.5 a", "0.50000001 a", 1e-6, True),
        ("0.5 a", "0.50000001 b", 1e-6, False),
        ("nan", "NaN", 1e-6, False),
        ("1", "1\n2", 1e-6, False),
    ],
)
def test_which_outputs_are_equal(expected: str, printed: str, tolerance: float | None, *, equal: bool) -> None:
    assert same_output(expected, printed, tolerance) is equal
