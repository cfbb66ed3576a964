"""Regular expressions, in both directions, and who answers for a search that does not end."""

import pytest

from streams.messages import Question, Status
from workers.verifiers.text.regex import RegexVerifier

EVIL = "(a|aa)+$"


def judge(response, gold=None, **options):
    return RegexVerifier().verify(Question(prompt="?", ground_truth=gold, options=options), response)


@pytest.mark.parametrize(
    ("pattern", "response", "options", "score"),
    [
        (r"\d{4}-\d{2}-\d{2}", "2024-02-29", {}, 1.0),
        (r"\d{4}-\d{2}-\d{2}", "  2024-02-29\n", {}, 1.0),
        (r"\d{4}-\d{2}-\d{2}", "<think>no</think>2024-02-29", {}, 1.0),
        (r"\d{4}-\d{2}-\d{2}", "2024-02-29 is the day", {}, 0.0),
        (r"\d{4}-\d{2}-\d{2}", "2024-02-29\n2024-02-30", {}, 0.0),
        (r"\d{4}-\d{2}-\d{2}", "It is 2024-02-29.", {"mode": "search"}, 1.0),
        (r"\d{4}-\d{2}-\d{2}", "It is 2024.", {"mode": "search"}, 0.0),
        (r"\d{4}", "<think>2024</think>", {"mode": "search"}, 0.0),
        ("yes|no", "yes", {}, 1.0),
        ("yes|no", "yes and no", {}, 0.0),
        ("yes", "YES", {}, 0.0),
        ("yes", "YES", {"flags": "i"}, 1.0),
        ("a.b", "a\nb", {}, 0.0),
        ("a.b", "a\nb", {"flags": "s"}, 1.0),
        ("^b$", "a\nb", {"mode": "search"}, 0.0),
        ("^a$", "a\nb", {"mode": "search"}, 0.0),
        ("^a$", "a\nb", {"mode": "search", "flags": "m"}, 1.0),
        (".*", "", {}, 0.0),
        (".*", "   ", {}, 0.0),
        ("", "x", {}, None),
        ("(", "x", {}, None),
        ("x", "x", {"flags": "z"}, None),
        ("x", "x", {"flags": 2}, None),
        ("x", "x", {"mode": "match"}, None),
    ],
)
def test_the_text_must_match(pattern, response, options, score):
    for found in (judge(response, pattern, **options), judge(response, pattern=pattern, **options)):
        assert found.score == score, found.why
        assert (found.status is Status.INFRA_ERROR) == (score is None)


@pytest.mark.parametrize(
    ("response", "score"),
    [
        (r"\d+", 1.0),
        (r"^\d+$", 1.0),
        (r"`\d+`", 1.0),
        ("```\n\\d+\n```", 1.0),
        ("```regex\n\\d+\n```", 1.0),
        ("Try this:\n```regex\n\\d+\n```", 1.0),
        ("<think>.*</think>\\d+", 1.0),
        (r"\d{1,3}", 1.0),
        ("[0-9]+", 1.0),
        (".*", 0.0),
        (r"\d", 0.0),
        ("12", 0.0),
        ("", 0.0),
        ("(", 0.0),
        ("[", 0.0),
        ("*", 0.0),
        ("(?R)", 0.0),
        ("(?:12){e<=3}", 0.0),
        ("(?:12|7|345){e}", 0.0),
        (r"\p{Nd}+", 0.0),
        ("```\n\\d+\n```\n```\n.*\n```", 0.0),
        ("I think \\d+", 0.0),
        ("a" * 5000, 0.0),
        ("(" * 1500 + ")" * 500, 0.0),
        ("((a{1,900}){1,900}){1,900}", 0.0),
        ("(?:" * 300 + ")" * 300, 0.0),
        ("<think>\\d+</think>", 0.0),
    ],
)
def test_the_text_must_be_a_pattern(response, score):
    found = judge(response, match=["12", "7", "345"], reject=["", "a", "1a", "12 7"])
    assert found.score == score, found.why


def test_a_search_that_does_not_end_is_the_responses_fault():
    """A verdict that a response could make vanish would be made to. Without an end the search would take years."""
    hostile = "a" * 60 + "b"
    asked = judge(hostile, EVIL)
    answered = judge(EVIL, match=["aa"], reject=[hostile])
    assert (asked.score, asked.status) == (0.0, Status.TIMEOUT)
    assert "takes longer" in asked.why
    assert (answered.score, answered.status) == (0.0, Status.TIMEOUT)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"match": []},
        {"match": "x"},
        {"match": [1]},
        {"match": ["x"] * 5000},
        {"match": ["x"], "reject": 3},
        {"pattern": 3},
    ],
)
def test_a_wrong_prompt_is_no_reward(options):
    found = judge("x", **options)
    assert (found.score, found.status) == (None, Status.INFRA_ERROR)
    assert "correct the prompt" in found.why
