"""What a code answer is, and what its tests may be."""

import math
import time
from typing import Any

import pytest

from infra.settings.tree import RtvSettings
from streams.messages import Question, Status
from workers.verifiers.code.blocks import program_of
from workers.verifiers.code.verifier import CodeVerifier

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
        ("   ```\n   a\n   ```", "a"),
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


ADD = "def add(a, b):\n    return a + b"
FENCED = f"```python\n{ADD}\n```"
OTHERS = {
    "output": "```text\n>>> add(1, 2)\n3\n```",
    "bare output": "```\n3\n```",
    "bare list": "```\n[1, 2]\nTrue\n```",
    "a transcript": "```python\n>>> add(1, 2)\n3\n```",
    "usage": "```python\nprint(add(1, 2))  # 3\n```",
    "usage with a value": "```python\nresult = add(1, 2)\nassert result == 3\n```",
    "usage that imports": "```python\nfrom solution import add_all\nadd_all()\n```",
    "a shell": "```bash\npython add.py\n```",
    "bare shell": "```\n$ python add.py\n```",
    "JSON": '```json\n{"add": 3}\n```',
    "another language": "```javascript\nfunction add(a, b) { return a - b }\n```",
    "nothing": "```\n```",
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
@pytest.mark.parametrize("order", ["after", "before", "both"])
def test_blocks_that_are_not_the_program_are_passed_over(other: str, order: str) -> None:
    before, after = (other if order != "after" else ""), (other if order != "before" else "")
    assert program_of(f"{before}\nHere:\n{FENCED}\nso\n{after}\n", entry_point="add") == ADD


@pytest.mark.parametrize(
    "other", ["```\n3\n```", "```bash\npython add.py\n```", "```text\n1 2\n```", "```python\nsolve('1 2')\n```"]
)
def test_a_program_that_reads_its_input_is_chosen(other: str) -> None:
    program = "def solve(s): print(s)\nsolve(input())"
    assert program_of(f"```python\n{program}\n```\nFor example:\n{other}") == program


def test_of_several_definitions_the_last_counts() -> None:
    wrong = FENCED.replace("+", "-")
    assert program_of(f"{wrong}\nthat is wrong:\n{FENCED}", entry_point="add") == ADD
    assert program_of(f"{FENCED}\nbetter:\n{wrong}", entry_point="add") == ADD.replace("+", "-")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("async def f(): ...", "f"),
        ("class Solution:\n    def two(self): ...", "Solution.two"),
        ("f = lambda x: x", "f"),
        ("f: Callable = g", "f"),
        ("from math import factorial as f", "f"),
        ("import f", "f"),
        ("if True:\n    def f(): ...", "f"),
    ],
)
def test_what_defines_a_name(text: str, name: str) -> None:
    assert program_of(f"```\n{text}\n```\n```\nprint(f(1) == 2)\nx = 1\n```", entry_point=name) == text


@pytest.mark.parametrize(
    "text",
    [
        "- Solution:\n\n    ```python\n    {0}\n    ```\n",
        "1. ```python\n   {0}\n   ```\n2. done",
        "* a\n  * b\n    ~~~py\n    {0}\n    ~~~",
        "\t```python\n\t{0}\n\t```",
        "> ```python\n> {0}\n> ```",
        "> > ```python\n> > {0}\n> > ```",
        "        ```python\n        {0}\n        ```",
        "```python\n    {0}\n```",
        "    {0}",
        "<answer>\n{0}\n</answer>",
        "<answer>{0}</answer>",
        "<ANSWER>\n```python\n{0}\n```\n</ANSWER>",
        "<answer>```python\n{0}\n```</answer>",
        "Sure.\n<answer>\n```py\n{0}\n```\nOutput:\n```\n3\n```\n</answer> Done.",
        "<answer>\nno\n</answer>\nRather:\n<answer>\n{0}\n</answer>",
        "``` {{.python .numberLines}}\n{0}\n```",
        '```python title="a.py"\n{0}\n```',
    ],
)
def test_where_a_program_may_stand(text: str) -> None:
    """With every line of it indented and quoted as its fence is."""
    (line,) = [line for line in text.split("\n") if "{0}" in line]
    margin = line.partition("{0}")[0].replace("<answer>", "")
    lines = ADD.split("\n")
    whole = text.replace("{{", "{").replace("}}", "}").replace("{0}", f"\n{margin}".join(lines))
    assert program_of(whole, entry_point="add") == ADD


def test_tags_within_a_program_are_its_own() -> None:
    program = 'def f():\n    return """\n<answer>\n1\n</answer>\n"""'
    assert program_of(f"```python\n{program}\n```", entry_point="f") == program


@pytest.mark.parametrize(
    "text",
    [
        "```" * 350_000,
        "```\n" * 260_000,
        "<answer>\n" * 110_000,
        "- " * 520_000,
        "> " * 520_000,
        "import " * 150_000,
        "    " * 260_000 + "x",
        "```python\n" + "f " * 520_000,
        "```\n" + "1, " * 350_000,
        "~" * 2**20,
        "<answer>" * 130_000,
    ],
    ids=range(11),
)
def test_a_mebibyte_is_read_in_time(text: str) -> None:
    started = time.process_time()
    program_of(text, entry_point="f")
    program_of(text)
    assert time.process_time() - started < 30  # a quadratic search takes minutes


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


def test_the_score_may_be_the_share_of_passed_cases(code: CodeVerifier) -> None:
    cases = [{"args": [n], "expected": n} for n in range(6)]
    source = (
        "import os\ndef f(n):\n    if n == 1: os._exit(0)\n    if n == 2: os.kill(os.getppid(), 9)\n"
        "    if n == 3: return -1\n    if n == 4: raise ValueError\n    return n"
    )
    score, status, _ = judged(code, source, tests=function(*cases), partial=True)
    assert status is Status.JUDGED
    assert score == pytest.approx(2 / 6)  # 0 and 5; 2 killed its harness, and so has no answer
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


@pytest.mark.parametrize(
    "end", ["exit()", "quit()", "exit(0)", "import sys; sys.exit()", "raise SystemExit", "quit(None)"]
)
def test_a_program_may_end_itself_after_its_output(code: CodeVerifier, end: str) -> None:
    tests = {"kind": "stdio", "cases": [{"stdin": "1 2\n", "stdout": "3"}, {"stdin": "5 6\n", "stdout": "11"}]}
    program = f"print(sum(map(int, input().split())))\n{end}\nprint('never')"
    assert judged(code, program, tests=tests)[1] is Status.CORRECT
    assert judged(code, f"print(3)\n{end}", tests=tests)[1] is Status.WRONG
    failing = program.replace("()", "(1)") if end in ("exit()", "quit()") else program.replace(end, "exit(1)")
    assert judged(code, failing, tests=tests)[1] is Status.WRONG


@pytest.mark.parametrize("number", [math.factorial(25), 2**63, -(2**64), 10**4000])
def test_integers_of_any_size_are_arguments_and_values(code: CodeVerifier, number: int) -> None:
    tests = function({"args": [number], "expected": number + 1})
    assert judged(code, "def f(n): return n + 1", tests=tests)[1] is Status.CORRECT
    assert judged(code, "def f(n): return n", tests=tests)[1] is Status.WRONG


LIMITS = {
    "time": ("while True: pass", "the time limit was reached"),
    "memory": ("x = bytearray(2 * 2**30)", "the memory limit was reached"),
    "output": ("while True: print('x' * 4096)", "the output limit was reached"),
    "processes": (
        "import threading, time\nwhile True: threading.Thread(target=time.sleep, args=[9], daemon=True).start()",
        "the limit of processes and threads was reached",
    ),
    "forks": (
        "import os, time\nwhile True:\n    if os.fork() == 0:\n        time.sleep(9)\n        os._exit(0)",
        "the limit of processes and threads was reached",
    ),
    "open files": ("f = [open('/dev/null') for _ in range(5000)]", "the limit of open files was reached"),
    "files": (
        "f = open('big', 'wb', buffering=0)\nwhile True: f.write(b'x' * 65536)",
        "the limit of its files' size was reached",
    ),
}


@pytest.mark.parametrize("kind", ["auto", "subprocess"])
@pytest.mark.parametrize("limit", LIMITS)
def test_the_limit_that_was_reached_is_said(limit: str, kind: str) -> None:
    source, said = LIMITS[limit]
    verifier = CodeVerifier()
    sandbox = {"case_seconds": 2, "budget_seconds": 6, "kind": kind}
    verifier.configure(RtvSettings.model_validate({"sandbox": sandbox}))
    body = source.replace("\n", "\n    ")
    for program, tests in (
        (f"def f():\n    {body}", function({"args": [], "expected": 1}, {"args": [], "expected": 1})),
        (source, function({"args": [], "expected": 1})),
        (source, {"kind": "stdio", "cases": [{"stdout": "1"}]}),
    ):
        score, _, why = judged(verifier, program, tests=tests)
        assert score == 0.0
        assert said in why
