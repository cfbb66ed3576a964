"""Programs that do something else than the task, each with the verdict that a careful person would give."""

import pytest

from infra.settings.tree import RtvSettings
from streams.messages import Question, Status
from workers.verifiers.base import Verdict
from workers.verifiers.code.verifier import CodeVerifier

CASES = [
    {"args": [1, 2], "expected": 3},
    {"args": [40, 2], "expected": 42},
    {"args": [-7, 0], "expected": -7},
    {"args": [5], "kwargs": {"b": 6}, "expected": 11},
]
ADD = {"tests": {"kind": "function", "entry_point": "add", "cases": CASES}}
CHECK = "def check(candidate):\n    assert candidate(1, 2) == 3\n    assert candidate(40, 2) == 42\n"
CHECKER = {"tests": {"kind": "checker", "entry_point": "add", "script": CHECK}}
STDIO = {"tests": {"kind": "stdio", "cases": [{"stdin": "1 2", "stdout": "3"}, {"stdin": "40 2\n", "stdout": "42\n"}]}}
SETTINGS = RtvSettings.model_validate({"sandbox": {"case_seconds": 1.5, "memory_mib": 192, "budget_seconds": 8}})


@pytest.fixture(scope="module")
def code() -> CodeVerifier:
    verifier = CodeVerifier()
    verifier.configure(SETTINGS)
    return verifier


def judged(code: CodeVerifier, response: str, options: dict[str, object]) -> Verdict:
    verdict = code.verify(Question(prompt="?", verifier="code", options=options), response)
    assert (verdict.score is None) == (verdict.status is Status.INFRA_ERROR)
    return verdict


WRONG = {
    "exits": "import sys\nsys.exit(0)\ndef add(a, b): return a + b",
    "exits at the end": "def add(a, b): return a - b\nexit(0)  #",
    "SystemExit in the function": "def add(a, b): raise SystemExit(0)",
    "KeyboardInterrupt in the function": "def add(a, b): raise KeyboardInterrupt",
    "os._exit at once": "import os; os._exit(0)",
    "os._exit in the function": "import os\ndef add(a, b): os._exit(0)",
    "os._exit in atexit": "import atexit, os\natexit.register(os._exit, 0)\ndef add(a, b): raise ValueError",
    "os._exit in excepthook": "import os, sys\nsys.excepthook = lambda *_: os._exit(0)\n1 / 0",
    "fork, parent exits": "import os\nif os.fork(): os._exit(0)\ndef add(a, b): return a + b",
    "fork in the function, parent exits": "import os\ndef add(a, b):\n    if os.fork(): os._exit(0)\n    return a - b",
    "equal to everything": "class E:\n    __eq__ = lambda s, o: True\n    __hash__ = None\ndef add(a, b): return E()",
    "an int subclass": "class I(int):\n    __eq__ = lambda s, o: True\ndef add(a, b): return I(a + b)",
    "a subclass, nested": "class S(str): pass\ndef add(a, b): return [a, {S('x'): b}]",
    "a bool subclass of int": "def add(a, b): return a + b == a + b",
    "a float": "def add(a, b): return float(a + b)",
    "text": "def add(a, b): return str(a + b)",
    "a Fraction": "from fractions import Fraction\ndef add(a, b): return Fraction(a + b)",
    "NaN": "def add(a, b): return float('nan')",
    "nothing": "def add(a, b): a + b",
    "a generator": "def add(a, b): yield a + b",
    "a coroutine": "async def add(a, b): return a + b",
    "a function": "def add(a, b): return add",
    "in a list": "def add(a, b): return [a + b]",
    "a property with side effects": (
        "import os\nclass P:\n    value = property(lambda s: os._exit(0))\n    __class__ = int\ndef add(a, b): return P()"
    ),
    "tests from its source": "import inspect, sys\ndef add(a, b):\n    return inspect.getsource(sys.modules['__main__'])",
    "tests from argv": "import sys\ndef add(a, b): return eval(sys.argv[-1])['expected']",
    "tests from /proc": (
        "def add(a, b):\n    text = open('/proc/self/cmdline').read() + open('/proc/1/cmdline').read()\n"
        "    return int(text.split('expected')[1])"
    ),
    "expected values from its frames": (
        "import sys\ndef add(a, b):\n    frame = sys._getframe()\n    while frame:\n"
        "        for value in frame.f_locals.values():\n"
        "            if isinstance(value, dict) and 'expected' in value: return value['expected']\n"
        "        frame = frame.f_back"
    ),
    "expected values from gc": (
        "import gc\ndef add(a, b):\n    for found in gc.get_objects():\n"
        "        if isinstance(found, dict) and 'expected' in found: return found['expected']"
    ),
    "prints the pass mark": "print('PASSED')\nprint('all tests passed')\ndef add(a, b): print('PASS'); return 'PASS'",
    "forges a result": (
        "import os\nfor fd in range(256):\n"
        '    try: os.write(fd, b\'{"passed": true, "score": 1}\\nR\\nV3\\nP\\n\')\n'
        "    except OSError: pass\nos._exit(0)"
    ),
    "answers before it is asked": (
        "import os\nfor fd in range(3, 256):\n    try: os.write(fd, b'R\\nV3\\nV3\\nV3\\nV3\\n')\n    except OSError: pass\n"
        "def add(a, b): return 3"
    ),
    "overwrites the grader": (
        "import sys, builtins\nmain = sys.modules['__main__']\n"
        "main.encode = lambda value: 'true'\nmain.same = lambda *_: True\n"
        "builtins.all = builtins.any = lambda *_: True\ndef add(a, b): return 0"
    ),
    "overwrites json and sys.modules": (
        "import sys, json\njson.loads = json.dumps = lambda *a, **k: True\nsys.modules.clear()\ndef add(a, b): return 0"
    ),
    "overwrites builtins": (
        "import builtins\nfor name in ('type', 'str', 'len', 'isinstance', 'int', 'repr'):\n"
        "    setattr(builtins, name, lambda *a, **k: 3)\ndef add(a, b): return 0"
    ),
    "skips its tests": "import unittest\nraise unittest.SkipTest('no need')",
    "kills its harness": "import os, signal\ndef add(a, b):\n    os.kill(os.getppid(), signal.SIGKILL)\n    return a + b",
    "kills all that it can": "import os\ndef add(a, b):\n    os.kill(-1, 9)\n    return a + b",
    "closes every descriptor": "import os\nos.closerange(0, 256)\ndef add(a, b): return a - b",
    "closes stdout and is wrong": "import sys, os\nsys.stdout.close(); os.close(1)\ndef add(a, b): return a * b",
    "hard-coded visible tests": "def add(a, b): return {(1, 2): 3, (40, 2): 42}.get((a, b), 0)",
    "state between the cases": "n = 0\nanswers = [3, 42, -7, 11]\ndef add(a, b=0):\n    global n\n    n += 1\n    return answers[n - 1]",
    "threads left running": (
        "import threading, time\ndef add(a, b):\n    threading.Thread(target=time.sleep, args=[30]).start()\n    return a"
    ),
    "1 GB of output": "def add(a, b):\n    for _ in range(16384): print('x' * 65536)\n    return a + b",
    "1 GB of output while loading": "import sys\nfor _ in range(16384): sys.stderr.write('x' * 65536)\ndef add(a, b): return a + b",
    "a result of 20 MB": "def add(a, b): return 'x' * (20 * 10**6)",
    "a recursion that crashes": "import ctypes\ndef add(a, b): return ctypes.string_at(0)",
    "nested in itself": "def add(a, b):\n    x = []\n    x.append(x)\n    return x",
    "deeply nested": "def add(a, b):\n    x = 3\n    for _ in range(900): x = [x]\n    return x",
    "more deeply nested": (
        "import sys\nsys.setrecursionlimit(10**6)\ndef add(a, b):\n    x = 3\n    for _ in range(50000): x = [x]\n    return x"
    ),
    "a huge int": "def add(a, b): return 10 ** 5000",
    "a hostile exception": (
        "class E(BaseException):\n    def __str__(self): raise E\n    __repr__ = __str__\ndef add(a, b): raise E"
    ),
    "a metaclass": (
        "class M(type):\n    def __eq__(c, o): return True\n    __hash__ = lambda c: hash(int)\n"
        "class X(metaclass=M): pass\ndef add(a, b): return X()"
    ),
    "surrogates": "def add(a, b): return '\\ud800'",
    "not a function": "add = 3",
    "no such function": "def plus(a, b): return a + b",
    "a syntax error": "def add(a, b) return a + b",
    "prose": "I would add the two numbers and return their sum.",
    "null bytes": "def add(a, b): return a + b\x00",
    "replaces the interpreter": "import os\nos.execv('/bin/sh', ['sh', '-c', 'echo R; echo V3'])",
    "subtracts": "def add(a, b): return a - b",
}


@pytest.mark.parametrize("source", WRONG.values(), ids=WRONG)
def test_no_trick_passes_for_the_function(code: CodeVerifier, source: str) -> None:
    verdict = judged(code, source, ADD)
    assert (verdict.score, verdict.status) == (0.0, Status.WRONG), verdict


@pytest.mark.parametrize("source", WRONG.values(), ids=WRONG)
def test_no_trick_passes_a_checker(code: CodeVerifier, source: str, request: pytest.FixtureRequest) -> None:
    """A checker's == is Python's, on plain values: 3.0 is 3, and hard-coded answers to all that it asks are right."""
    verdict = judged(code, source, CHECKER)
    name = request.node.callspec.id
    right = name in {"a float", "hard-coded visible tests"}
    assert (verdict.score, verdict.status) == (float(right), Status.CORRECT if right else Status.WRONG), verdict


SLOW = {
    "alarm cancelled": "import signal\nsignal.alarm(0)\nsignal.setitimer(signal.ITIMER_REAL, 0)\ndef add(a, b):\n    while True: pass",
    "loops while loading": "while True: pass",
    "os._exit with the harness's own status": "import os\ndef add(a, b): os._exit(77)",
    "sleeps": "import time\ndef add(a, b): time.sleep(100)",
    "sleeps deaf": (
        "import signal, time\nfor s in set(signal.Signals) - {9, 19}: signal.signal(s, signal.SIG_IGN)\n"
        "def add(a, b):\n    while True: time.sleep(1)"
    ),
    "an infinite repr": "class R:\n    def __repr__(self):\n        while True: pass\ndef add(a, b): return R().__repr__()",
    "loops in C": "def add(a, b): return sum(range(10**12))",
    "backtracks": "import re\ndef add(a, b): return re.match(r'(a+)+$', 'a' * 64 + 'b')",
    "stops itself": "import os, signal\ndef add(a, b): os.kill(os.getpid(), signal.SIGSTOP)",
    "catches everything for ever": "def add(a, b):\n    while True:\n        try:\n            while True: pass\n        except BaseException: pass",
}


@pytest.mark.parametrize("source", SLOW.values(), ids=SLOW)
def test_a_program_that_hangs_is_a_timeout(code: CodeVerifier, source: str) -> None:
    verdict = judged(code, source, ADD)
    assert (verdict.score, verdict.status) == (0.0, Status.TIMEOUT), verdict


LARGE = {
    "at once": "def add(a, b): return len(bytearray(2**32)) and a + b",
    "while loading": "x = [bytearray(2**20) for _ in range(4096)]\ndef add(a, b): return a + b",
    "bit by bit": "def add(a, b):\n    x = []\n    while True: x.append([0] * 10**5)",
    "an int": "def add(a, b): return 1 << (1 << 40)",
}


@pytest.mark.parametrize("source", LARGE.values(), ids=LARGE)
def test_a_program_that_fills_the_memory_is_oom(code: CodeVerifier, source: str) -> None:
    verdict = judged(code, source, ADD)
    assert (verdict.score, verdict.status) == (0.0, Status.OOM), verdict


FLOODS = {
    "calls": "import sys\nsys.setrecursionlimit(10**9)\ndef add(a, b): return add(a, b)",
    "forks": "import os\ndef add(a, b):\n    while True:\n        try: os.fork()\n        except OSError: pass",
    "forks while loading": "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass",
    "threads": "import threading, time\ndef add(a, b):\n    while True: threading.Thread(target=time.sleep, args=[9]).start()",
    "processes": "import subprocess\ndef add(a, b):\n    while True: subprocess.Popen(['sleep', '60'], start_new_session=True)",
    "a bash fork bomb": "import os\ndef add(a, b): os.system('bash -c \\':(){ :|:& };:\\'')",
}


@pytest.mark.parametrize("source", FLOODS.values(), ids=FLOODS)
def test_floods_pass_nothing_and_the_next_one_is_judged(code: CodeVerifier, source: str) -> None:
    verdict = judged(code, source, ADD)
    assert verdict.score == 0.0
    assert verdict.status in {Status.WRONG, Status.TIMEOUT, Status.OOM}
    assert judged(code, "def add(a, b): return a + b", ADD).status is Status.CORRECT


RIGHT = {
    "plain": "def add(a, b): return a + b",
    "prints": "print('loading')\ndef add(a, b):\n    print('adding', a, b)\n    return a + b",
    "closes stdout": "import sys\nsys.stdout.close()\ndef add(a, b): return a + b",
    "a daemon that holds stdout": (
        "import subprocess\nsubprocess.Popen(['sleep', '60'], start_new_session=True)\ndef add(a, b): return a + b"
    ),
    "a daemon from the function": (
        "import os, time\ndef add(a, b):\n    if os.fork() == 0:\n        os.setsid()\n        time.sleep(60)\n    return a + b"
    ),
    "threads": (
        "from concurrent.futures import ThreadPoolExecutor\ndef add(a, b):\n"
        "    with ThreadPoolExecutor(2) as pool: return sum(pool.map(int, [a, b]))"
    ),
    "a main block": "def add(a, b): return a + b\nif __name__ == '__main__':\n    import sys; sys.exit(add(*map(int, input().split())))",
    "a lambda": "add = lambda a, b: a + b",
    "a class with a call": "class Add:\n    def __call__(self, a, b): return a + b\nadd = Add()",
    "imports": "import math, collections, re, typing, dataclasses, functools\nadd = lambda a, b: int(math.fsum([a, b]))",
    "an exception inside": "def add(a, b):\n    try: return a / 0\n    except ZeroDivisionError: return a + b",
    "a low recursion limit": "import sys\nsys.setrecursionlimit(60)\ndef add(a, b): return a + b",
    "a process of its own": (
        "import multiprocessing\ndef work(q, a, b): q.send(a + b)\ndef add(a, b):\n"
        "    ours, theirs = multiprocessing.Pipe()\n"
        "    p = multiprocessing.get_context('fork').Process(target=work, args=(theirs, a, b)); p.start()\n"
        "    return ours.recv()"
    ),
}


@pytest.mark.parametrize("options", [ADD, CHECKER], ids=["function", "checker"])
@pytest.mark.parametrize("source", RIGHT.values(), ids=RIGHT)
def test_right_programs_with_odd_habits_pass(code: CodeVerifier, source: str, options: dict[str, object]) -> None:
    verdict = judged(code, source, options)
    assert (verdict.score, verdict.status) == (1.0, Status.CORRECT), verdict


READ = "a, b = map(int, input().split())\n"
STDIO_VERDICTS = {
    "right": (READ + "print(a + b)", Status.CORRECT),
    "right, with white space": (READ + "print(f'{a + b}  \\n\\n')", Status.CORRECT),
    "right, but fails": (READ + "print(a + b)\nraise SystemExit(1)", Status.WRONG),
    "right, but dies": (READ + "print(a + b, flush=True)\nimport os; os.kill(os.getpid(), 9)", Status.WRONG),
    "a daemon that holds stdout": (
        "import subprocess\nsubprocess.Popen(['sleep', '60'], start_new_session=True)\n" + READ + "print(a + b)",
        Status.CORRECT,
    ),
    "nothing": ("", Status.UNPARSEABLE),
    "prints nothing": ("input()", Status.WRONG),
    "one more word": (READ + "print('sum:', a + b)", Status.WRONG),
    "one more line": (READ + "print(a + b)\nprint('PASSED')", Status.WRONG),
    "all numbers": ("for n in range(100): print(n)", Status.WRONG),
    "the first only": ("print(3)", Status.WRONG),
    "loops": ("while True: pass", Status.TIMEOUT),
    "shouts": ("while True: print('x' * 1000)", Status.WRONG),
    "fills memory": ("x = bytearray(2**32)", Status.OOM),
    "reads twice": (READ + "print(a + b)\ninput(); input()", Status.WRONG),
    "os._exit at once": ("import os; os._exit(0)", Status.WRONG),
}


@pytest.mark.parametrize(("source", "status"), STDIO_VERDICTS.values(), ids=STDIO_VERDICTS)
def test_hostile_programs_on_stdin(code: CodeVerifier, source: str, status: Status) -> None:
    verdict = judged(code, source, STDIO)
    assert (verdict.score, verdict.status) == (float(status is Status.CORRECT), status), verdict
