"""Sets and lists: the same items, no more and no fewer."""

import pytest

from streams.messages import Question, Status
from workers.verifiers.text.set import SetVerifier


def judge(gold, response, **options):
    return SetVerifier().verify(Question(prompt="?", ground_truth=gold, options=options), response)


RIGHT = [
    *(
        "1, 2, 3",
        "3, 2, 1",
        "{1, 2, 3}",
        "{3,1,2}",
        "[1, 2, 3]",
        "(1, 2, 3)",
        "1; 2; 3",
        "1\n2\n3",
        "1, 2 and 3",
        "1, 2, and 3",
    ),
    *(
        "- 1\n- 2\n- 3",
        "* 1\n* 2\n* 3",
        "1. 1\n2. 2\n3. 3",
        "• 1\n• 2\n• 3",
        "1, 2, 3.",
        "1, 2, 3,",
        "{1, 2, 3}.",
        "1.0, 2.0, 3.0",
    ),
    *(
        "\\{1, 2, 3\\}",
        "$\\{1, 2, 3\\}$",
        "\\boxed{1, 2, 3}",
        "\\boxed{\\{1, 2, 3\\}}",
        "$\\boxed{\\left\\{1,\\, 2,\\, 3\\right\\}}$",
    ),
    *(
        "The answer is 1, 2, 3.",
        "The answer is {1, 2, 3}.",
        "Answer: 1, 2 and 3",
        "**Answer:** {1, 2, 3}",
        "<answer>1, 2, 3</answer>",
    ),
    *(
        "S = {1, 2, 3}",
        "The numbers are 1, 2 and 3.",
        "The numbers are 1, 2, and 3.",
        "Numbers: 1, 2, 3",
        "The set is {1, 2, 3}.",
    ),
    *(
        "1, 1, 2, 3",
        "{1, 2, 2, 3}",
        "02, 1, 3",
        '["1", "2", "3"]',
        "<think>{1}</think>{1, 2, 3}",
        "{1, 2, 3} is the set of numbers.",
    ),
    *(
        "\\boxed{1, 2, 3} that is \\boxed{3, 2, 1}",
        "The answer is {1}. No, wait, the answer is {1, 2, 3}.",
        "`1, 2, 3`",
        "**1, 2, 3**",
    ),
]
WRONG = [
    *(
        "",
        " ",
        ".",
        "{}",
        "[]",
        "∅",
        "1, 2",
        "1, 2, 3, 4",
        "{1, 2}",
        "{1, 2, 3, 4}",
        "1 2 3",
        "123",
        "1,23",
        "1, 2, 4",
        "1",
        "-1, 2, 3",
    ),
    *(
        "1, 2, 3 or 4",
        "1, 2, or 3",
        "1 or 2 or 3",
        "{1,2,3} or {1,2}",
        "maybe {1, 2, 3}",
        "probably 1, 2, 3",
        "not {1, 2, 3}",
        "{1, 2, 3}?",
    ),
    *(
        "{1, 2, 3}\n{1, 2}",
        "{1, 2}\n{1, 2, 3}",
        "\\boxed{1, 2}\\boxed{1, 2, 3}",
        "\\boxed{1, 2, 3}\\boxed{1}",
        "\\boxed{}",
        "\\boxed{1, 2, 3",
    ),
    *(
        "The answer is 1, 2, 3. The answer is 1, 2.",
        "The answer is {1, 2, 3} or {1}.",
        "1, 2, 3, and 4",
        "1, 2, 3, ...",
        "1, 2, 3, etc.",
    ),
    *(
        "1..3",
        "1-3",
        "{1, 2, 3",
        "1, 2, 3}",
        "{{1, 2, 3}}",
        "[[1, 2, 3]]",
        "{1, {2, 3}}",
        "(1, 2), 3",
        "1,,2,3",
        ", 1, 2, 3",
    ),
    *(
        "<think>{1, 2, 3}</think>",
        "I don't know",
        "0,1,2,3,4,5,6,7,8,9",
        "The numbers 1, 2 and 3 are not all.",
        "[" * 5000,
        "1," * 50_000,
    ),
    *(
        "The answer is {1, 2, 3}. \\boxed{1, 2}",
        "all of them",
        "1%, 2%, 3%",
        "{1, 2, 3} and {4}",
        "{1, 2, 3}, {1, 2, 3}",
    ),
]


@pytest.mark.parametrize("response", RIGHT)
@pytest.mark.parametrize("gold", ["[1, 2, 3]", "1, 2, 3", "{1, 2, 3}", "3; 2; 1"])
def test_the_same_items_are_right(gold, response):
    found = judge(gold, response)
    assert (found.score, found.status) == (1.0, Status.CORRECT), found.why


@pytest.mark.parametrize("response", WRONG)
def test_any_other_set_is_wrong(response):
    found = judge("[1, 2, 3]", response)
    assert found.score == 0.0, (response[:80], found.why)
    assert found.status in {Status.WRONG, Status.UNPARSEABLE}


@pytest.mark.parametrize(
    ("gold", "response", "options", "score"),
    [
        ("[1, 2, 3]", "1, 2, 3", {"ordered": True}, 1.0),
        ("[1, 2, 3]", "3, 2, 1", {"ordered": True}, 0.0),
        ("[1, 2, 3]", "1, 2, 2, 3", {"ordered": True}, 0.0),
        ("[1, 1, 2]", "1, 2", {}, 0.0),
        ("[1, 1, 2]", "1, 2, 1", {}, 1.0),
        ("[1, 1, 2]", "1, 2", {"duplicates": "ignore"}, 1.0),
        ("[1, 2]", "1, 1, 2", {"duplicates": "count"}, 0.0),
        ("[1, 2]", "1, 1, 2", {"duplicates": "refuse"}, 0.0),
        ("[1, 2]", "1|2", {"separators": "|"}, 1.0),
        ("a, b", "a, b", {"separators": ";"}, 1.0),
        ("a, b", "b, a", {"separators": ";"}, 0.0),
        ('["CO", "H2O"]', "co, h2o", {}, 1.0),
        ('["CO", "H2O"]', "Co, H2O", {"case_sensitive": True}, 0.0),
        ('["CO", "H2O"]', "H₂O, CO", {"case_sensitive": True}, 1.0),
        ('["salt and pepper", "oil"]', "oil, salt and pepper", {}, 1.0),
        ('["salt and pepper", "oil"]', "oil, salt, pepper", {}, 0.0),
        ('["red", "green", "blue"]', "Red, green and blue.", {}, 1.0),
        ('["red", "green", "blue"]', "The colours are red, green, and blue.", {}, 1.0),
        ('["red", "green", "blue"]', "red, green", {}, 0.0),
        ('["red"]', "red", {}, 1.0),
        ('["the Nile", "Amazon"]', "Nile and the Amazon", {}, 1.0),
        ("[1000, 2000]", "1,000; 2,000", {}, 1.0),
        ("[1000, 2000]", "1,000, 2,000", {}, 1.0),
        ("[1, 234]", "{1,234}", {}, 1.0),
        ("[1, 0]", "1,000", {}, 0.0),
        ("[0.5, 1]", "1/2, 1", {}, 1.0),
        ("[0.5, 1]", "\\frac{1}{2}, 1", {}, 1.0),
        ("[0.1, 0.2]", "10%, 20%", {}, 1.0),
        ("(1, 2), (3, 4)", "(3,4), (1,2)", {}, 1.0),
        ("(1, 2), (3, 4)", "(2,1), (3,4)", {}, 0.0),
        ("[[1, 2], [3, 4]]", "{(1, 2), (3, 4)}", {}, 1.0),
        ("{{1, 2}, {3}}", "{{3}, {2, 1}}", {}, 1.0),
        ("[]", "{}", {}, 1.0),
        ("[]", "∅", {}, 1.0),
        ("[]", "\\boxed{\\emptyset}", {}, 1.0),
        ("[]", "the empty set", {}, 1.0),
        ("∅", "[]", {}, 1.0),
        ("[]", "0", {}, 0.0),
        ("[]", "", {}, 0.0),
        ("[]", "{0}", {}, 0.0),
    ],
)
def test_options_and_items(gold, response, options, score):
    found = judge(gold, response, **options)
    assert found.score == score, found.why


@pytest.mark.parametrize(
    ("gold", "options"),
    [
        (None, {}),
        ("", {}),
        ("  ", {}),
        ("1, 2", {"duplicates": "no"}),
        ("1, 2", {"separators": ""}),
        ("1, 2", {"separators": "a"}),
    ],
)
def test_a_wrong_prompt_is_no_reward(gold, options):
    found = judge(gold, "1, 2", **options)
    assert (found.score, found.status) == (None, Status.INFRA_ERROR)
