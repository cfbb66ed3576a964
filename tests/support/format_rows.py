"""Rows of every format by the published columns of its datasets, with contents of our own; and what each becomes."""

import base64
import json
import pickle
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]
USER = [{"role": "user", "content": "How many legs have three cats?"}]
ADD = "def add(a, b):\n    return a + b"
ECHO = "print(int(input()) + 1)"


@dataclass(frozen=True, slots=True)
class FormatExample:
    format: str
    row: Row
    scorer: str
    domain: str
    truth: str | None = None
    options: Mapping[str, Any] | None = None
    """Those that matter; None compares none."""
    right: str | None = None
    """A response that the scorer marks right; None where that is the verifier's own test."""


def verl(source: str, truth: Any, ability: str = "math", style: str = "rule", **more: Any) -> Row:
    reward = {"style": style, "ground_truth": truth}
    return {"data_source": source, "prompt": USER, "ability": ability, "reward_model": reward, "extra_info": {}} | more


def packed(cases: list[Row]) -> str:
    return base64.b64encode(zlib.compress(pickle.dumps(json.dumps(cases)))).decode()


def fenced(code: str) -> str:
    return f"```python\n{code}\n```"


CALLS = {"inputs": ["1\n2", "3\n4"], "outputs": ["3", "7"], "fn_name": "add"}
LISTED = {"inputs": [[1, 2], [3, 4]], "outputs": [[3], [7]], "fn_name": "add"}
PRINTS = {"inputs": ["1\n", "4\n"], "outputs": ["2\n", "5\n"]}
FUNCTIONAL = [{"input": "1\n2", "output": "3", "testtype": "functional", "metadata": {"func_name": "add"}}]
STDIN = [{"input": "1\n", "output": "2\n", "testtype": "stdin"}]
CHECK = "def check(candidate):\n    assert candidate(1, 2) == 3\n    assert candidate(0, 0) == 0\n"
INSTRUCTIONS = {"instruction_id": ["punctuation:no_comma"], "kwargs": [None]}
NO_COMMA = {"instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}
METHOD = "class Solution:\n    def add(self, a: int, b: int) -> int:\n        pass\n"

EXAMPLES = [
    FormatExample(
        "rewardstream", {"domain": "qa", "prompt": "x?", "verifier": "math", "ground_truth": "7"}, "math", "qa", "7"
    ),
    FormatExample("rewardstream", {"domain": "qa", "messages": USER, "references": ["12"]}, "genrm (references)", "qa"),
    FormatExample("verl", verl("openai/gsm8k", "12"), "math", "math", "12", right="\\boxed{12}"),
    FormatExample("verl", verl("math_dapo", "12", "MATH", "rule-lighteval/MATH_v2"), "math", "MATH", "12"),
    FormatExample("verl", verl("qa", "It is 12.", "writing", "model"), "genrm (ground truth)", "writing", "It is 12."),
    FormatExample(
        "verl",
        verl("searchR1_nq", {"target": ["Paris", "Paris, France"]}, "fact-reasoning"),
        "exact",
        "fact-reasoning",
        "Paris",
        {"extract": "final", "accept": ["Paris, France"]},
        right="The answer is Paris.",
    ),
    FormatExample("verl", verl("taco", json.dumps(PRINTS), "code"), "code", "code", right=fenced(ECHO)),
    FormatExample("verl", verl("apps", json.dumps(LISTED), "code"), "code", "code", right=fenced(ADD)),
    FormatExample("verl", verl("codecontests", json.dumps(CALLS), "code"), "code", "code", right=fenced(ADD)),
    FormatExample("verl", verl("livecodebench", json.dumps(FUNCTIONAL), "code"), "code", "code", right=fenced(ADD)),
    FormatExample("verl", verl("livecodebench", json.dumps(STDIN), "code"), "code", "code", right=fenced(ECHO)),
    FormatExample(
        "verl",
        verl("humaneval", CHECK, "code", extra_info={"entry_point": "add"}),
        "code",
        "code",
        right=fenced(ADD),
    ),
    FormatExample("verl", verl("mbpp", ["assert add(1, 2) == 3"], "code"), "code", "code", right=fenced(ADD)),
    FormatExample("TRL", {"prompt": USER, "solution": "$12$"}, "math", "mathematics", "$12$"),
    FormatExample("TRL", {"prompt": "3 cats?", "answer": 12}, "math", "mathematics", "12"),
    FormatExample(
        "open-instruct", {"messages": USER, "ground_truth": ["12"], "dataset": ["gsm8k"]}, "math", "mathematics", "12"
    ),
    FormatExample(
        "open-instruct",
        {"messages": USER, "ground_truth": str([INSTRUCTIONS]), "dataset": "ifeval"},
        "instructions",
        "instructions",
        options=NO_COMMA,
    ),
    FormatExample(
        "open-instruct",
        {"messages": USER, "ground_truth": ["assert add(1, 2) == 3"], "dataset": "code"},
        "code",
        "coding",
        right=fenced(ADD),
    ),
    FormatExample(
        "open-instruct",
        {"messages": USER, "ground_truth": json.dumps(STDIN), "dataset": "code_stdio"},
        "code",
        "coding",
        right=fenced(ECHO),
    ),
    FormatExample(
        "open-r1",
        {"problem": "3 * 4?", "solution": "It is \\boxed{12}.", "answer": "12", "uuid": "a", "messages": USER},
        "math",
        "mathematics",
        "12",
    ),
    FormatExample("open-r1", {"problem": "3 * 4?", "solution": "So \\boxed{12}.", "level": "1"}, "math", "mathematics"),
    FormatExample("open-r1", {"question": "3 * 4?", "final_answer": "12", "topic": "x"}, "math", "mathematics", "12"),
    FormatExample(
        "chat messages",
        {"messages": [*USER, {"role": "assistant", "content": "Twelve."}]},
        "genrm (references)",
        "chat",
    ),
    FormatExample("chat messages", {"messages": USER}, "none", "chat"),
    FormatExample(
        "GSM8K", {"question": "3 cats?", "answer": "3*4 = <<3*4=12>>12\n#### 12"}, "math", "mathematics", "12"
    ),
    FormatExample(
        "multiple choice",
        {
            "id": "1",
            "question": "Which?",
            "choices": {"text": ["a cat", "a dog"], "label": ["A", "B"]},
            "answerKey": "B",
        },
        "choice",
        "multiple-choice",
        "B",
        {"choices": {"A": "a cat", "B": "a dog"}},
        right="B",
    ),
    FormatExample(
        "multiple choice",
        {"question": "Which?", "subject": "pets", "choices": ["a cat", "a dog"], "answer": 1},
        "choice",
        "multiple-choice",
        "B",
    ),
    FormatExample(
        "multiple choice",
        {"question_id": 7, "question": "Which?", "options": ["a cat", "a dog"], "answer": "A", "answer_index": 0},
        "choice",
        "multiple-choice",
        "A",
    ),
    FormatExample(
        "IFEval, IFBench",
        {"key": 1, "prompt": "Write.", "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{"n": None}]},
        "instructions",
        "instructions",
        right="No such mark here",
    ),
    FormatExample(
        "reasoning-gym",
        {"question": "1 + 2 = ?", "answer": "3", "metadata": {"source_dataset": "chain_sum", "source_index": 0}},
        "puzzle",
        "chain_sum",
        "3",
        {"dataset": "chain_sum"},
        right="<answer>3</answer>",
    ),
    FormatExample(
        "HumanEval",
        {"task_id": "T/1", "prompt": "def add(a, b):\n", "entry_point": "add", "canonical_solution": "", "test": CHECK},
        "code",
        "coding",
        right=fenced(ADD),
    ),
    FormatExample(
        "MBPP",
        {
            "task_id": 1,
            "text": "Add two numbers.",
            "code": ADD,
            "test_list": ["assert set([add(1, 2)]) == set([3])", "assert add(2, 2) == FOUR"],
            "test_setup_code": "FOUR = 4",
            "challenge_test_list": [],
        },
        "code",
        "coding",
        right=fenced(ADD),
    ),
    FormatExample(
        "APPS, TACO",
        {"problem_id": 1, "question": "Add.", "input_output": json.dumps(LISTED), "starter_code": METHOD},
        "code",
        "coding",
        right=fenced("class Solution:\n    def add(self, a, b):\n        return [a + b]"),
    ),
    FormatExample(
        "PRIME's verification_info",
        {
            "problem": "Read a number, print the next.",
            "verification_info": {
                "language": "python",
                "test_cases": [STDIN[0] | {"type": "stdin_stdout", "testtype": None}],
            },
        },
        "code",
        "coding",
        right=fenced(ECHO),
    ),
    FormatExample(
        "PRIME's verification_info",
        {"prompt": "3 * 4?", "task_type": "verifiable_math", "verification_info": '{"ground_truth": "12"}'},
        "math",
        "mathematics",
        "12",
    ),
    FormatExample(
        "LiveCodeBench",
        {
            "question_content": "Add.",
            "question_id": "1",
            "starter_code": METHOD,
            "public_test_cases": json.dumps([{"input": "1\n2", "output": "3", "testtype": "functional"}]),
            "private_test_cases": packed([{"input": "3\n4", "output": "7", "testtype": "functional"}]),
            "metadata": '{"func_name": "add"}',
        },
        "code",
        "coding",
        right=fenced("class Solution:\n    def add(self, a, b):\n        return a + b"),
    ),
]
