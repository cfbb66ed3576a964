"""The contract of every format: its rows are recognised as its own, become prompts that their scorer can judge, and a
broken row is a RowError.
"""

import base64
import zlib
from contextlib import suppress
from dataclasses import replace

import pytest
from support.format_rows import EXAMPLES, FormatExample

from streams.messages import Question
from trainer.prompts.dataset import Defaults, RowParser, parse_row
from trainer.prompts.dataset_errors import RowError
from trainer.prompts.formats.known_formats import FORMATS, recognise
from trainer.prompts.formats.scorer_rules import ScorerRules
from trainer.prompts.scorer_names import scorer_name
from workers.verifiers.registry import load_verifier, verifier_names

DEFAULTS = Defaults(verifiers=tuple(verifier_names()))
BROKEN = (None, 5, "", [], {}, [None], "\ud800", {"x": object}, True, "[", "{")


def name_of(example: FormatExample) -> str:
    return f"{example.format}-{example.scorer}"


def test_every_format_has_rows():
    without = {one.name for one in FORMATS} - {example.format for example in EXAMPLES}
    assert without == {"preference pairs"}


@pytest.mark.parametrize("example", EXAMPLES, ids=name_of)
def test_a_row_is_recognised_and_gets_its_scorer(example):
    row = parse_row(example.row, DEFAULTS)
    assert (row.format, scorer_name(row.question), row.domain) == (example.format, example.scorer, example.domain)
    if example.truth is not None:
        assert row.question.ground_truth == example.truth
    if example.options is not None:
        assert row.question.options == example.options


@pytest.mark.parametrize("example", EXAMPLES, ids=name_of)
def test_a_row_converts_alone_and_keeps_what_it_was_given(example):
    before = repr(example.row)
    first, again = (parse_row(example.row, DEFAULTS) for _ in range(2))
    assert first == again
    assert repr(example.row) == before


@pytest.mark.parametrize("example", EXAMPLES, ids=name_of)
def test_a_broken_value_is_a_row_error(example):
    """Each value of the row in turn is another thing; the row is a prompt still, or refused with a reason."""
    for column in example.row:
        for value in BROKEN:
            with suppress(RowError):
                parse_row({**example.row, column: value}, DEFAULTS)


@pytest.mark.parametrize("example", EXAMPLES, ids=name_of)
def test_only_known_columns_are_ignored_silently(example):
    parser = RowParser(DEFAULTS)
    parser.parse(example.row | {"zzz": 1})
    assert (example.format, "zzz") in parser.ignored


def judged() -> list[FormatExample]:
    return [example for example in EXAMPLES if example.right is not None]


@pytest.mark.parametrize("example", judged(), ids=name_of)
def test_a_right_response_is_right_to_the_scorer_and_another_is_not(example):
    question = parse_row(example.row, DEFAULTS).question
    assert question.verifier is not None
    verifier = load_verifier(question.verifier)
    found = verifier.verify(question, example.right)
    assert found.score == 1.0, found.why
    wrong = verifier.verify(question, "" if question.verifier == "instructions" else "```python\nprint(0)\n```")
    assert wrong.score == 0.0, wrong.why


def test_preference_pairs_name_the_command_that_takes_them():
    with pytest.raises(RowError, match="rm train-bt"):
        parse_row({"prompt": "p", "chosen": "a", "rejected": "b"}, DEFAULTS)


VERL = next(example.row for example in EXAMPLES if example.format == "verl")
UNKNOWN = VERL | {"data_source": "our/quiz", "ability": "trivia"}


def test_an_unknown_source_is_refused_with_the_way_to_name_its_scorer():
    with pytest.raises(RowError, match=r"'our/quiz' has no known scorer: give --rule our/quiz=VERIFIER"):
        parse_row(UNKNOWN, DEFAULTS)
    for rules in (ScorerRules({"our/quiz": "quantity"}), ScorerRules(default="quantity")):
        assert parse_row(UNKNOWN, replace(DEFAULTS, rules=rules)).question.verifier == "quantity"
    judge = parse_row(UNKNOWN, replace(DEFAULTS, rules=ScorerRules({"our/quiz": "genrm"}))).question
    assert scorer_name(judge) == "genrm (ground truth)"


def test_a_known_source_keeps_its_scorer_whatever_the_default():
    row = parse_row(VERL, replace(DEFAULTS, rules=ScorerRules(default="exact")))
    assert row.question.verifier == "math"


def test_columns_of_no_format_are_renamed():
    row = {"query": "Capital of France?", "gold": "Paris"}
    with pytest.raises(RowError, match=r"no known format has these columns: gold, query.*--column prompt=NAME"):
        parse_row(row, DEFAULTS)
    columns = {"prompt": "query", "ground_truth": "gold"}
    named = replace(DEFAULTS, columns=columns, domain="trivia", rules=ScorerRules(default="exact"))
    parsed = parse_row(row, named)
    assert parsed.domain == "trivia"
    assert parsed.question == Question(
        prompt="Capital of France?", verifier="exact", ground_truth="Paris", options={"extract": "final"}
    )


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (VERL | {"reward_model": "rule"}, "reward_model and extra_info must be objects"),
        (VERL | {"reward_model": {"style": "magic"}}, r"reward_model\.style is 'magic'"),
        (VERL | {"images": [1]}, "has images or videos"),
        (VERL | {"reward_model": {"style": "rule", "ground_truth": ["1", "2"]}}, "expected one ground truth, got 2"),
        ({"prompt": "Capital?", "answer": "Paris"}, "no known scorer"),
        ({"prompt": "p", "ground_truth": "x", "dataset": "string_f1"}, "'string_f1' has no known scorer"),
        ({"messages": [], "ground_truth": "x", "dataset": ["math", "code"]}, "the name of one verifier"),
        (
            {"prompt": "p", "ground_truth": '{"func_name": "verify_keywords"}', "dataset": "ifeval"},
            "own function 'verify_keywords'",
        ),
        ({"problem": "p", "answer": "proof"}, "no final answer: proof"),
        ({"question": "q", "choices": ["a", "b"], "answer": 2}, "the answer 2 is none of A, B"),
        ({"question": "q", "input_output": '{"inputs": ["1"], "outputs": []}'}, "as many `outputs` as `inputs`"),
        ({"text": "t", "test_list": ["assert f(1) == g(1)"]}, "do not all call one function: f, g"),
        ({"text": "t", "test_list": ["assert ("]}, "the tests are not Python"),
        (
            {"question": "q", "answer": "a", "metadata": {"source_dataset": "no_such_set"}},
            "puzzle cannot judge this prompt",
        ),
    ],
)
def test_a_row_that_cannot_be_scored_says_why(row, reason):
    with pytest.raises(RowError, match=reason):
        parse_row(row, DEFAULTS)


def test_packed_tests_run_nothing():
    hostile = "gASVGwAAAAAAAACMBXBvc2l4lIwGc3lzdGVtlJOUjARob21llIWUUpQu"
    row = next(example.row for example in EXAMPLES if example.format == "LiveCodeBench")
    packed = base64.b64encode(zlib.compress(base64.b64decode(hostile))).decode()
    with pytest.raises(RowError, match=r"name posix\.system, which tests never do"):
        parse_row(row | {"private_test_cases": packed}, DEFAULTS)


def test_the_first_rows_decide_where_columns_do_not():
    rows = [{"question": "q", "answer": "unfinished"}, {"question": "q", "answer": "so\n#### 3"}]
    assert recognise(frozenset({"question", "answer"}), rows).name == "GSM8K"
