"""Rows of every format become prompts; a broken row is named with its line, and the rest go on."""

import json
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.messages import Question
from trainer.prompts.dataset import Defaults, PromptRow, Rejection, parse_row, read_dataset
from trainer.prompts.dataset_errors import DatasetError, RowError
from trainer.prompts.dataset_files import JsonLine

DEFAULTS = Defaults(verifiers=("math", "exact", "code"))
OWN = {"domain": "qa", "prompt": "Capital of France?", "ground_truth": "Paris"}
VERL = {
    "data_source": "openai/gsm8k",
    "prompt": [{"role": "user", "content": "2 + 2?"}],
    "ability": "math",
    "reward_model": {"style": "rule", "ground_truth": "4"},
    "extra_info": {"split": "train", "index": 7},
}
TRL = {"prompt": [{"role": "user", "content": "x^2 = 4, x > 0?"}], "solution": "$2$"}


def test_a_prompt_that_no_record_holds_with_its_response_is_refused():
    largest = replace(DEFAULTS, largest_bytes=1000)
    assert parse_row(OWN, largest) == parse_row(OWN, DEFAULTS)
    with pytest.raises(RowError, match=r"have 1\d{3} bytes, more than 1000, which is half of broker.max_message_bytes"):
        parse_row(OWN | {"options": {"cases": "x" * 1000}}, largest)


def test_a_row_of_our_own_format():
    row = parse_row(
        OWN
        | {"references": ["Paris, France"], "options": {"k": 1}, "split": "heldout", "origin": "new", "source": "s"},
        DEFAULTS,
    )
    question = Question(
        prompt="Capital of France?", ground_truth="Paris", references=("Paris, France",), options={"k": 1}
    )
    assert (row.question, row.domain, row.split, row.origin, row.source) == (question, "qa", "heldout", "new", "s")
    assert row.messages == ({"role": "user", "content": "Capital of France?"},)


def test_verl_rule_goes_to_a_verifier_and_model_to_the_judge():
    rule = parse_row(VERL, DEFAULTS)
    model = parse_row(VERL | {"reward_model": {"style": "model", "ground_truth": "4"}}, DEFAULTS)
    assert (rule.question.verifier, rule.question.ground_truth, rule.domain) == ("math", "4", "math")
    assert (rule.split, rule.source) == ("train", "openai/gsm8k:7")
    assert (model.question.verifier, model.question.ground_truth) == (None, "4")


def test_trl_solution_is_verified_as_mathematics():
    row = parse_row(TRL, DEFAULTS)
    assert (row.question.verifier, row.question.ground_truth, row.domain) == ("math", "$2$", "mathematics")


def test_an_empty_verifier_is_none():
    assert parse_row(OWN | {"verifier": ""}, DEFAULTS) == parse_row(OWN, DEFAULTS)


def test_the_id_follows_the_content_only():
    base = parse_row(OWN, DEFAULTS)
    same = parse_row(OWN | {"id": "x", "source": "y", "references": ["later"], "split": "test"}, DEFAULTS)
    assert base.id == same.id
    assert base.id != parse_row(OWN | {"ground_truth": "paris"}, DEFAULTS).id
    assert base.id != parse_row(OWN | {"verifier": "exact"}, DEFAULTS).id
    assert base.id != parse_row(OWN | {"veto": "exact"}, DEFAULTS).id


def test_a_veto_stands_over_the_judge():
    row = parse_row(OWN | {"veto": "math"}, DEFAULTS)
    assert (row.question.verifier, row.question.veto) == (None, "math")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ([1], "expected an object with columns, got list"),
        ({"domain": "qa"}, "no known format has these columns: domain"),
        ({"domain": "qa", "prompt": None}, "no prompt"),
        (OWN | {"prompt": ""}, "a turn needs a role"),
        (OWN | {"prompt": "   "}, "a turn needs a role"),
        (OWN | {"prompt": [{"role": "robot", "content": "x"}]}, "a turn needs a role"),
        (OWN | {"prompt": ["hello"]}, "a turn needs a role"),
        (OWN | {"prompt": [{"role": "assistant", "content": "x"}]}, "the last turn must be the user's"),
        (OWN | {"domain": None}, "domain must be a name"),
        (OWN | {"domain": "d" * 65}, "domain must be a name"),
        (OWN | {"verifier": "nope"}, "unknown verifier 'nope': installed are math, exact, code"),
        (OWN | {"veto": "nope"}, "unknown verifier 'nope': installed are math, exact, code"),
        (OWN | {"verifier": "math", "veto": "exact"}, "give one of them"),
        (OWN | {"ground_truth": ["a"]}, r"wrong type.*ground_truth"),
        (OWN | {"references": "one text"}, r"wrong type.*references"),
        (OWN | {"options": "{"}, "options is text that is not JSON"),
        (OWN | {"split": "dev"}, "split is 'dev'"),
        (OWN | {"origin": "old"}, "origin is 'old'"),
        (OWN | {"prompt": "a\x00b"}, "NUL"),
        (OWN | {"ground_truth": "\ud800"}, "cannot be stored as JSON"),
        (OWN | {"options": {"x": float}}, "cannot be stored as JSON"),
        (OWN | {"options": {"tolerance": float("nan")}}, "cannot be stored as JSON"),
        (OWN | {"options": '{"tolerance": Infinity}'}, "cannot be stored as JSON"),
        (OWN | {"options": "[" * 100_000}, "options is text that is not JSON"),
        (OWN | {"domain": "\ud800"}, "cannot be stored as JSON"),
        (OWN | {"domain": "a\x00b"}, "NUL"),
        (VERL | {"reward_model": "rule"}, "reward_model and extra_info must be objects"),
        (VERL | {"reward_model": {"style": "magic"}}, "reward_model.style is 'magic'"),
        (OWN | {"messages": [{"role": "user", "content": "x"}]}, "both `prompt` and `messages`"),
        (OWN | {"verifer": "math"}, "unknown column 'verifer': did you mean 'verifier'"),
        (OWN | {"verifier": "math", "ground_truth": None}, "math cannot judge this prompt: the ground truth None"),
        (OWN | {"verifier": "math", "options": {"unit": "m"}}, "unknown options: unit"),
        (OWN | {"verifier": "exact", "options": {"accept": 5}}, "option accept must be a list"),
    ],
)
def test_a_broken_row_says_why(row, reason):
    with pytest.raises(RowError, match=reason):
        parse_row(row, DEFAULTS)


def test_integers_of_any_size_are_kept():
    options = {
        "tests": {
            "kind": "function",
            "entry_point": "f",
            "cases": [{"args": [25], "expected": 15511210043330985984000000}],
        }
    }
    row = {"domain": "coding", "prompt": "5! ** 10?", "verifier": "code", "options": options}
    assert parse_row(row, DEFAULTS).question.options == options


def test_a_written_escape_is_not_a_nul():
    assert parse_row(OWN | {"prompt": r"What is \u0000?"}, DEFAULTS).question.prompt == r"What is \u0000?"


def test_jsonl_reports_the_line_and_goes_on(tmp_path):
    path = tmp_path / "data.jsonl"
    good = json.dumps(OWN).encode()
    broken = b"\n\nnot json\n\xff\xfe\n" + b"[" * 100_000 + b"\n"
    path.write_bytes(b"\xef\xbb\xbf" + good + broken + good + b"\r\n" + b"9" * 5000)
    found = dict(read_dataset(path, DEFAULTS))
    assert {line for line, row in found.items() if isinstance(row, PromptRow)} == {1, 6}
    rejected = {line: row for line, row in found.items() if isinstance(row, Rejection)}
    assert set(rejected) == {3, 4, 5, 7}
    assert str(rejected[3]).startswith(f"{path}:3: not JSON")
    assert "not UTF-8" in rejected[4].reason
    assert rejected[3].row == "not json"


def test_parquet_of_verl_unchanged(tmp_path):
    path = tmp_path / "verl.parquet"
    broken = VERL | {"prompt": None}
    pq.write_table(pa.Table.from_pylist([VERL, broken, VERL]), path)
    found = dict(read_dataset(path, DEFAULTS))
    assert found[1] == parse_row(VERL, DEFAULTS)
    assert isinstance(found[2], Rejection)
    assert isinstance(found[3], PromptRow)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("missing.jsonl", None, "no dataset at"),
        ("data.txt", b"a,b", "unknown kind of file '.txt'"),
        ("broken.parquet", b"PAR1 no", "not a readable Parquet file"),
    ],
)
def test_a_file_that_cannot_be_read_says_what_to_do(tmp_path, name, content, reason):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DatasetError, match=reason):
        list(read_dataset(path, DEFAULTS))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    )
)
def test_a_line_is_read_as_json_says(value):
    """The fast decoder and the lenient one agree, also on integers of any size."""
    text = json.dumps(value)
    assert JsonLine(text.encode())() == JsonLine(text.encode()).decode_leniently() == json.loads(text)


def test_ids_do_not_change_with_the_code():
    """The ids of the prompts in every database: a change here would make every prompt new."""
    row = parse_row(OWN | {"options": {"b": 1.5, "a": ["\u00e9", 10**20]}}, DEFAULTS)
    assert (parse_row(OWN, DEFAULTS).id, row.id) == (
        "eb2c07865e241d483b1fe4571791eca8014d42167b01e3e8fbca04fee0e874d8",
        "11ac76d84b69016f8ae411a3933da957b40771129e050d352ea7a9cca4b7050b",
    )
