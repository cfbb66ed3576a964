"""The contract of every verifier that is installed, with an example of each sentence of its policy."""

import json

from support.hostile_seeds import SEEDS

from streams.messages import Question
from workers.verifiers.contract import (
    AnswerContract,
    Example,
    VerifierContract,
    asked,
    reading_examples,
    without_reference,
)
from workers.verifiers.registry import load_verifier, verifier_names


def test_every_verifier_has_a_contract() -> None:
    covered = {
        own.verifier.name
        for kind in (VerifierContract, AnswerContract)
        for own in kind.__subclasses__()
        if own is not AnswerContract
    }
    missing = set(verifier_names()) - covered
    assert not missing, f"add a class that inherits VerifierContract or AnswerContract to this file for: {missing}"


def test_every_verifier_has_hostile_seeds() -> None:
    missing = set(verifier_names()) - set(SEEDS)
    assert not missing, f"add a line to SEEDS in tests/support/hostile_seeds.py for: {missing}"


class TestMath(AnswerContract):
    verifier = load_verifier("math")
    question = Question(prompt="?", ground_truth="7")
    right, other = "7", "8"
    wrong_prompts = (
        without_reference(question),
        Question(prompt="?", ground_truth="the mitochondria of the cell!!"),
        asked(question, whole_answer="yes"),
    )
    policy = {
        **reading_examples(right, other),
        "Without any of them": [
            Example("Tom has 3 + 4 = 7 apples.", 1.0),
            Example("Tom has 3 and Ann has 4. So they have 7.", 1.0),
            Example("7 or 8", 0.0),
        ],
        "Values are compared": [
            Example("\\boxed{\\frac{14}{2}}", 1.0),
            Example("\\boxed{7.1}", 0.0),
            Example("La respuesta es 3,5.", 1.0, Question(prompt="?", ground_truth="3.5")),
        ],
        "With whole_answer": [
            Example("7", 1.0, asked(question, whole_answer=True)),
            Example("It is 7", 0.0, asked(question, whole_answer=True)),
        ],
    }


class TestQuantity(AnswerContract):
    verifier = load_verifier("quantity")
    question = Question(prompt="?", ground_truth="5 km")
    right, other = "5 km", "6 km"
    wrong_prompts = (
        without_reference(question),
        Question(prompt="?", ground_truth="fast"),
        asked(question, relative=-1),
        asked(question, unit_required="no"),
    )
    policy = {
        **reading_examples(right, other),
        "Without any of them": [Example("The road is 5 km long.", 1.0), Example("5 km and 6 km", 0.0)],
        "Units are converted": [Example("5000 m", 1.0), Example("5 s", 0.0), Example("5", 0.0)],
        "Without a tolerance": [
            Example("343 m/s", 1.0, Question(prompt="?", ground_truth="343.2 m/s")),
            Example("12 V", 0.0, Question(prompt="?", ground_truth="12.4 V")),
        ],
        "Ranges, bounds": [Example("5-6 km", 0.0), Example("at least 5 km", 0.0), Example("5 km or 6 km", 0.0)],
    }


class TestExact(AnswerContract):
    verifier = load_verifier("exact")
    question = Question(prompt="?", ground_truth="Paris", options={"extract": "final"})
    right, other = "Paris", "London"
    wrong_prompts = (
        without_reference(question),
        asked(question, extract="first"),
        asked(question, accept="Lutetia"),
        asked(question, case_sensitive="no"),
    )
    policy = {
        "The whole answer": [
            Example("Paris", 1.0, Question(prompt="?", ground_truth="Paris")),
            Example("Paris, France", 0.0, Question(prompt="?", ground_truth="Paris")),
            Example("Lutetia", 1.0, asked(question, accept=["Lutetia"])),
        ],
        "Case, spaces": [
            Example("“PARIS”.", 1.0),
            Example("the Paris", 0.0),
            Example("the Paris", 1.0, asked(question, ignore_articles=True)),
        ],
        "With extract final": [
            Example("The answer is Paris.", 1.0),
            Example("The answer is Paris.", 0.0, Question(prompt="?", ground_truth="Paris")),
        ],
        **reading_examples(right, other),
        "Without any of them": [
            Example("Paris", 1.0),
            Example("The capital is Paris.", 1.0),
            Example("Paris is nice", 0.0),
        ],
    }


class TestSet(AnswerContract):
    verifier = load_verifier("set")
    question = Question(prompt="?", ground_truth="1, 2")
    right, other = "{1, 2}", "{1, 3}"
    wrong_prompts = (
        without_reference(question),
        asked(question, duplicates="no"),
        asked(question, separators="a"),
        asked(question, ordered="no"),
    )
    policy = {
        **reading_examples(right, other),
        "Without any of them": [
            Example("2 and 1", 1.0),
            Example("- 1\n- 2", 1.0),
            Example("The primes are 1 and 2.", 1.0),
        ],
        "Items are compared": [
            Example("1.0, 2", 1.0),
            Example("The Nile", 1.0, Question(prompt="?", ground_truth='["nile"]')),
        ],
        "Extra and missing": [Example("1, 2, 3", 0.0), Example("1", 0.0)],
    }


class TestChoice(AnswerContract):
    verifier = load_verifier("choice")
    question = Question(prompt="?", ground_truth="B")
    right, other = "B", "C"
    wrong_prompts = (without_reference(question), Question(prompt="?", ground_truth="E"), asked(question, choices=5))
    policy = {
        **reading_examples(right, other),
        "Exactly one choice": [
            *(Example(own, 1.0) for own in ("I choose B", "B is correct", "B", "B) Paris", "b")),
            Example("Paris", 1.0, asked(question, texts={"B": "Paris"})),
        ],
        "Several choices": [Example("A or B", 0.0), Example("Plan B", 0.0)],
        "Boxes and statements": [
            Example("A is correct, at first sight. The answer is B.", 1.0),
            Example("\\boxed{x > 0}\n\nThe answer is B.", 1.0),
        ],
    }


class TestPuzzle(AnswerContract):
    verifier = load_verifier("puzzle")
    question = Question(prompt="?", ground_truth="5", options={"dataset": "gcd"})
    right, other = "5", "6"
    wrong_prompts = (without_reference(question), asked(question, dataset="boxnet"), asked(question, entry=[]))
    policy = {
        **reading_examples(right, other),
        "Without any of them": [Example("5", 1.0), Example("So their divisor is 5.", 1.0), Example("5 apples", 0.0)],
        "Entries are of": [
            Example("2 1", 1.0, Question(prompt="?", ground_truth="2  1", options={"dataset": "spiral_matrix"})),
            Example("1 2", 0.0, Question(prompt="?", ground_truth="2  1", options={"dataset": "spiral_matrix"})),
        ],
        "There is no partial": [Example("4", 0.0)],
    }


class TestCode(VerifierContract):
    verifier = load_verifier("code")
    question = Question(
        prompt="?",
        options={"tests": {"kind": "function", "entry_point": "add", "cases": [{"args": [1, 2], "expected": 3}]}},
    )
    right = "```python\ndef add(a, b):\n    return a + b\n```"
    wrong_prompts = (Question(prompt="?"), Question(prompt="?", options={"tests": {"kind": "guess"}}))
    _printed = Question(prompt="?", options={"tests": {"kind": "stdio", "cases": [{"stdin": "", "stdout": "3\n"}]}})
    policy = {
        "The program is": [
            Example("def add(a, b):\n    return a + b", 1.0),
            Example(f"{right}\n\nIt prints:\n\n```text\n3\n```", 1.0),
        ],
        "The tags": [Example("<answer>\ndef add(a, b):\n    return a + b\n</answer>", 1.0)],
        "Every test case": [Example("def add(a, b):\n    return 4", 0.0)],
        "Returned values": [Example("def add(a, b):\n    return 3.0", 0.0)],
        "Printed lines": [Example("print('3  ')", 1.0, _printed), Example("print('4')", 0.0, _printed)],
        "A program that fails": [Example("import os\nos._exit(0)", 0.0)],
    }


class TestJson(VerifierContract):
    verifier = load_verifier("json")
    question = Question(prompt="?", options={"schema": {"type": "object", "required": ["x"]}})
    right = '{"x": 1}'
    wrong_prompts = (Question(prompt="?"), asked(question, schema=5), Question(prompt="?", ground_truth="{"))
    _given = Question(prompt="?", ground_truth='{"x": 1, "y": [1, 2]}')
    policy = {
        "Only the text": [
            Example('```json\n{"x": 1}\n```', 1.0),
            Example('<answer>{"x": 1}</answer>', 1.0),
            Example('Here: {"x": 1}', 0.0),
            Example('Here: {"x": 1}', 1.0, asked(question, extra_text=True)),
        ],
        "Duplicate keys": [Example('{"x": 1, "x": 1}', 0.0), Example('{"x": NaN}', 0.0), Example('{"x": 1,}', 0.0)],
        "It must satisfy": [
            Example('{"y": 1}', 0.0),
            Example('{"y": [1, 2], "x": 1.0}', 1.0, _given),
            Example('{"x": 1, "y": [2, 1]}', 0.0, _given),
            Example('{"x": true, "y": [1, 2]}', 0.0, _given),
        ],
    }


class TestRegex(VerifierContract):
    verifier = load_verifier("regex")
    question = Question(prompt="?", ground_truth="ab+")
    right = "abb"
    wrong_prompts = (
        without_reference(question),
        Question(prompt="?", ground_truth="("),
        asked(question, mode="some"),
        asked(question, flags="q"),
    )
    _turned = Question(prompt="?", options={"match": ["aa"], "reject": ["b"]})
    policy = {
        "Only the text": [Example("<think>no</think>abb", 1.0)],
        "With a pattern": [Example("abbc", 0.0), Example("abbc", 1.0, asked(question, mode="search"))],
        "With match or reject": [
            Example("`a+`", 1.0, _turned),
            Example("<answer>a+</answer>", 1.0, _turned),
            Example("[ab]+", 0.0, _turned),
            Example("(", 0.0, _turned),
        ],
        "An empty text": [Example("", 0.0), Example("a" * 40, 0.0, Question(prompt="?", ground_truth="(a|aa)+b"))],
    }


class TestInstructions(VerifierContract):
    verifier = load_verifier("instructions")
    question = Question(
        prompt="Write about tea.", options={"instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}
    )
    right = "Tea is a warm drink."
    wrong_prompts = (
        Question(prompt="?"),
        Question(prompt="?", options={"instruction_id_list": ["no:such"], "kwargs": [{}]}),
    )
    policy = {
        "Every instruction": [
            Example("Tea, warm.", 0.0),
            Example("...", 0.0),
            Example("<think>tea, tea</think>Tea is warm.", 1.0),
        ],
        "Echoes of the prompt": [Example("Tea is warm.", 0.0, asked(question, min_words=20))],
    }


class TestSentence(VerifierContract):
    verifier = load_verifier("sentence")
    question = Question(prompt="?", options={"topic": "the sea"})
    right = "The sea throws silver light at dark cliffs while tired gulls circle home."
    wrong_prompts = (Question(prompt="?"), Question(prompt="?", options={"topic": "the"}))
    policy = {
        "One point each": [Example(right, 1.0)],
        "The score is": [Example("the sea throws silver light at dark cliffs while tired gulls circle home.", 7 / 8)],
    }


class TestSql(VerifierContract):
    verifier = load_verifier("sql")
    question = Question(
        prompt="?",
        ground_truth="SELECT name FROM emp WHERE salary > 90",
        options={
            "schema": "CREATE TABLE emp (id INTEGER PRIMARY KEY, name TEXT, salary REAL);"
            "INSERT INTO emp VALUES (1, 'Ann', 100.5), (2, 'Bob', 80), (3, 'Cid', 120);"
        },
    )
    right = "SELECT name FROM emp WHERE salary > 90"
    wrong_prompts = (without_reference(question), asked(question, schema="CREATE"), asked(question, columns="all"))
    policy = {
        "One read-only query": [Example(f"```sql\n{right}\n```", 1.0), Example("DELETE FROM emp", 0.0)],
        "Right means": [Example("SELECT name FROM emp WHERE salary > 90 ORDER BY name DESC", 1.0)],
        "If one instance": [Example("SELECT name FROM emp WHERE name <> 'Bob'", 0.0)],
        "The order of columns": [
            Example("SELECT name AS who FROM emp WHERE salary > 90", 1.0),
            Example("SELECT salary, name FROM emp WHERE salary > 90", 0.0),
        ],
        "A query whose rows": [Example("SELECT name FROM emp LIMIT 2", 0.0)],
        "The reference is": [
            Example(
                "SELECT n FROM t",
                1.0,
                Question(
                    prompt="?",
                    ground_truth=json.dumps([[[1]], [[2]]]),
                    options={
                        "schema": [
                            "CREATE TABLE t (n INTEGER); INSERT INTO t VALUES (1);",
                            "CREATE TABLE t (n INTEGER); INSERT INTO t VALUES (2);",
                        ]
                    },
                ),
            )
        ],
    }
