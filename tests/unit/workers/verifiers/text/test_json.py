"""Structured output: strict JSON that satisfies a schema and equals the reference."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.messages import Question, Status
from workers.verifiers.text.json import JsonVerifier

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
ANN = '{"name": "Ann", "age": 7}'


def judge(response, gold=None, **options):
    return JsonVerifier().verify(Question(prompt="?", ground_truth=gold, options=options), response)


@pytest.mark.parametrize(
    "response",
    [
        ANN,
        f"  {ANN}\n",
        '{"age": 7, "name": "Ann"}',
        '{"name": "Ann", "age": 7.0}',
        f"```json\n{ANN}\n```",
        f"```\n{ANN}\n```",
        f"~~~json\n{ANN}\n~~~",
        f"<think>{{}}</think>{ANN}",
        f"```json\n{ANN}\n```\n```json\n{ANN}\n```",
        '{"name": "\\u0041nn", "age": 7}',
        f"Sure!\n```json\n{ANN}\n```\nI hope it helps.",
        '{\n  "name": "Ann",\n  "age": 7\n}',
    ],
)
def test_what_satisfies_the_schema_is_right(response):
    assert judge(response, schema=PERSON).score == 1.0
    assert judge(response, ANN).score == 1.0
    assert judge(response, ANN, schema=PERSON, extra_text=True).score == 1.0


@pytest.mark.parametrize(
    "response",
    [
        *(
            "",
            " ",
            "null",
            "7",
            '"Ann"',
            "[]",
            "{}",
            f"[{ANN}]",
            ANN[:-1],
            ANN + "}",
            ANN + ANN,
            f"{ANN}\n{ANN}",
            f"{ANN},",
        ),
        *(
            f"Here it is: {ANN}",
            f"{ANN} I hope it helps.",
            f"<think>{ANN}</think>",
            f"<think>{ANN}",
        ),
        *(
            '{"name": "Ann", "age": 7, "age": 7}',
            '{"name": "Bob", "name": "Ann", "age": 7}',
            '{"name": "Ann", "age": 7,}',
        ),
        *(
            '{"name": "Ann", "age": NaN}',
            '{"name": "Ann", "age": Infinity}',
            '{"name": "Ann", "age": -Infinity}',
            '{"name": "Ann", "age": 1e999}',
        ),
        *(
            "{'name': 'Ann', 'age': 7}",
            '{name: "Ann", "age": 7}',
            '{"name": "Ann", "age": 07}',
            '{"name": "Ann", "age": +7}',
            '{"name": "Ann" "age": 7}',
        ),
        *(
            '{"name": "Ann", /* x */ "age": 7}',
            '{"name": "Ann", "age": 7} // x',
            '{"name": "Ann\n", "age": 7}',
            '{"name": "Ann", "age": 0x7}',
        ),
        *(
            '{"name": "Ann", "age": "7"}',
            '{"name": "Ann", "age": true}',
            '{"name": "Ann", "age": 7.5}',
            '{"name": "Ann", "age": -1}',
        ),
        *(
            '{"name": "Ann"}',
            '{"name": "Ann", "age": 7, "more": 1}',
            '{"name": null, "age": 7}',
            '{"Name": "Ann", "age": 7}',
        ),
        *(
            f"```json\n{ANN}\n```\n```json\n{{}}\n```",
            f"```json\n{ANN}",
            f"```python\n{ANN}\n```",
            "```json\n```",
            "True",
            "None",
            "undefined",
        ),
        *(
            "[" * 100_000,
            "[" * 100_000 + "]" * 100_000,
            '{"a":' * 50_000,
            "9" * 5000,
            f'{{"name": "Ann", "age": {"9" * 5000}}}',
            '"' * 9999,
        ),
        *(
            f'{{"name": "{"x" * 2_000_000}", "age": 7}}',
            "```" * 10_000,
            "\\" * 10_000,
            "\x00",
            "\ufeff",
            "{" * 500 + "}" * 500,
        ),
    ],
)
def test_any_other_value_is_wrong(response):
    for found in (judge(response, schema=PERSON), judge(response, ANN)):
        assert found.score == 0.0, (response[:80], found.why)
        assert found.status in {Status.WRONG, Status.UNPARSEABLE}


@pytest.mark.parametrize(
    ("response", "score"),
    [
        (f"Here it is: {ANN}", 1.0),
        (f"Sure!\n```json\n{ANN}\n```\nI hope it helps.", 1.0),
        (f"{ANN} and again {ANN}", 1.0),
        (f"First {{}}, then {ANN}", 0.0),
        (f"{ANN} or {{}}", 0.0),
        (f"```json\n{ANN}\n```\nor\n```json\n{{}}\n```", 0.0),
        (f"See [1]: {ANN}", 0.0),
        (f"Here: {ANN[:-1]}", 0.0),
        ("No JSON at all", 0.0),
        ("[" * 100_000, 0.0),
        ('{"' * 100_000, 0.0),
        (f'He said "{{" and then {ANN}', 0.0),
    ],
)
def test_prose_where_the_prompt_permits_it(response, score):
    found = judge(response, schema=PERSON, extra_text=True)
    assert found.score == score, found.why


@pytest.mark.parametrize(
    ("gold", "response", "score"),
    [
        ("1", "1", 1.0),
        ("1", "1.0", 1.0),
        ("1", "1e0", 1.0),
        ("1", "true", 0.0),
        ("true", "1", 0.0),
        ("0", "false", 0.0),
        ("false", "0", 0.0),
        ("null", "0", 0.0),
        ("null", "null", 1.0),
        ('"1"', "1", 0.0),
        ("[1, 2]", "[2, 1]", 0.0),
        ("[true]", "[1]", 0.0),
        ('{"a": [1, {"b": null}]}', '{"a": [1.0, {"b": null}]}', 1.0),
        ('{"a": 1}', '{"a": 1, "b": 2}', 0.0),
        ("9007199254740993", "9007199254740992.0", 0.0),
        ("9007199254740993", "9007199254740993", 1.0),
        ("[]", "{}", 0.0),
        ('""', "", 0.0),
    ],
)
def test_equality_is_by_value_and_kind(gold, response, score):
    assert judge(response, gold).score == score


@pytest.mark.parametrize(
    ("schema", "response", "score"),
    [
        ({"type": "string", "format": "date"}, '"2024-02-30"', 0.0),
        ({"type": "string", "format": "date"}, '"2024-02-29"', 1.0),
        ({"type": "string", "format": "email"}, '"nobody"', 0.0),
        ({"type": "string", "format": "ipv4"}, '"1.2.3.4"', 1.0),
        ({"type": "string", "pattern": "^a+$"}, '"aaa"', 1.0),
        ({"type": "string", "pattern": "^a+$"}, '"aab"', 0.0),
        ({"enum": [1]}, "true", 0.0),
        ({"const": 1}, "1.0", 1.0),
        ({"prefixItems": [{"type": "integer"}], "items": False}, "[1, 2]", 0.0),
        (
            {
                "$schema": "http://json-schema.org/draft-07/schema#",
                "items": [{"type": "integer"}],
                "additionalItems": False,
            },
            "[1, 2]",
            0.0,
        ),
        ({"$defs": {"n": {"type": "integer"}}, "$ref": "#/$defs/n"}, "1", 1.0),
        ({"$defs": {"t": {"items": {"$ref": "#/$defs/t"}, "type": "array"}}, "$ref": "#/$defs/t"}, "[[[[]]]]", 1.0),
        (True, "1", 1.0),
        (False, "1", 0.0),
        ({}, "1", 1.0),
    ],
)
def test_which_values_satisfy_a_schema(schema, response, score):
    found = judge(response, schema=schema)
    assert found.score == score, found.why


@pytest.mark.parametrize(
    ("gold", "options"),
    [
        (None, {}),
        ("", {}),
        ("{", {}),
        ('{"a": 1, "a": 1}', {}),
        (None, {"schema": {"type": "nonsense"}}),
        (None, {"schema": {"type": 5}}),
        (None, {"schema": "object"}),
        (None, {"schema": [1]}),
        (None, {"schema": {"pattern": "("}}),
        (None, {"schema": {"minimum": "x"}}),
        (None, {"schema": {"$ref": "#/$defs/none"}}),
        (None, {"schema": {"$ref": "https://example.com/schema.json"}}),
        (None, {"schema": {"$ref": "file:///etc/passwd"}}),
    ],
)
def test_a_wrong_prompt_is_no_reward(gold, options):
    found = judge('"x"', gold, **options)
    assert (found.score, found.status) == (None, Status.INFRA_ERROR), found.why
    assert "correct the prompt" in found.why


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_every_value_equals_itself_bare_and_fenced(value):
    text = json.dumps(value)
    assert judge(text, text).score == 1.0
    assert judge(f"```json\n{json.dumps(value, indent=1)}\n```", text).score == 1.0


@given(st.text(alphabet='{}[]",:0123456789.eE+-truefalsn\\ `\n', max_size=60))
def test_no_text_is_a_defect(text):
    for extra in (False, True):
        assert judge(text, schema=PERSON, extra_text=extra).score == 0.0


def test_a_schema_without_end_is_the_prompts_defect():
    assert judge("1", schema={"$ref": "#"}).score is None


def test_a_value_too_deep_for_its_schema_is_its_own():
    step = {"allOf": [{"anyOf": [{"allOf": [{"anyOf": [{"$ref": "#/$defs/tree"}]}]}]}]}
    schema = {"$defs": {"tree": {"type": "array", "items": step}}, "$ref": "#/$defs/tree"}
    assert judge("[" * 15 + "]" * 15, schema=schema).score == 1.0
    assert judge("[" * 200 + "]" * 200, schema=schema).score == 0.0
