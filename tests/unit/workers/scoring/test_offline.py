"""Scoring a file: one verdict a line in order, whatever the line holds."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from support.judge_server import serving
from support.tiny_judge import save_tiny_judge

from infra.settings.tree import GenRMSettings, Settings
from workers.scoring.offline import list_scorers, score_lines
from workers.scoring.score_request import MAX_DIGITS, MAX_LINE, LineError, parse_line
from workers.verifiers.registry import load_verifier


def line(scorer: str, reference: object, response: object, **more: object) -> str:
    return json.dumps({"scorer": scorer, "reference": reference, "prompt": "?", "response": response, **more})


def scored(lines: list[str | bytes], settings: Settings | None = None) -> list[dict[str, Any]]:
    return [json.loads(found) for found in score_lines(lines, settings or Settings())]


def test_verdicts_come_in_order_and_broken_lines_stop_nothing() -> None:
    found = scored(
        [
            line("math", "7", r"\boxed{7}"),
            "{broken",
            "",
            line("exact", "Paris", "Lyon"),
            b'{"scorer": "\xff"}',
            line("math", 7, "seven", options={"whole_answer": True}),
            *[line("exact", str(number), str(number)) for number in range(70)],
        ]
    )
    assert [one["line"] for one in found] == [1, 2, 4, 5, 6, *range(7, 77)]
    assert [one["score"] for one in found[:5]] == [1.0, None, 0.0, None, 0.0]
    assert [one["status"] for one in found[:5]] == ["correct", "infra_error", "wrong", "infra_error", "unparseable"]
    assert all(one["score"] == 1.0 for one in found[5:])
    assert (found[0]["scorer"], found[0]["version"]) == ("math", load_verifier("math").version)
    assert found[1]["why"].startswith("not JSON")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[1]", "expected an object, got list"),
        (line("maths", "7", "7"), "'maths' is none of .*exact, .*math, .*genrm"),
        (line("math", "7", None), "response: expected text, got null"),
        (line("math", "7", "7", options=[1]), "options: expected an object"),
        (line("math", "7", "7", prompt=3), "prompt: expected text"),
        (line("genrm", [], "7"), "a list must hold texts"),
        (line("genrm", None, "7"), "genrm needs a ground truth"),
        ("[" * 100_000, "not JSON"),
        ('{"scorer": "math", "response": "7", "reference": NaN}', "NaN is no JSON"),
        ('{"scorer": "math", "response": "7", "options": {"a": -Infinity}}', "-Infinity is no JSON"),
        (line("math", "7", "\ud800"), "response: .*surrogates"),
        (line("math", "\udfff", "7"), "prompt, reference or options: .*surrogates"),
        (line("math", "7", "7", options={"a": ["\ud800"]}), "options: .*surrogates"),
        (line(["math"], "7", "7"), "scorer: .* is none of"),
        ('{"scorer": "math", "response": "7", "reference": 1' + "0" * MAX_DIGITS + "}", "an integer of 100001 digits"),
        (line("math", "7", "x" * MAX_LINE), "longer than"),
        ("\x00\x01", "not JSON"),
    ],
    ids=range(17),
)
def test_what_is_wrong_with_a_line_is_said(text: str, why: str) -> None:
    with pytest.raises(LineError, match=why):
        parse_line(text)


def test_references_that_are_no_text_are_their_json() -> None:
    truths = [parse_line(line("math", reference, "7")) for reference in (7, 0.5, True, ["a", 1], {"é": None}, None)]
    assert [question.ground_truth for question, _ in truths] == ["7", "0.5", "true", '["a", 1]', '{"é": null}', None]


def test_integers_of_any_size_are_references_and_options() -> None:
    huge = 10**5000 + 7
    text = '{"scorer": "math", "response": "7", "reference": %s, "options": {"n": %s}}'
    digits = "1" + "0" * 4999 + "7"
    question, _ = parse_line(text % (digits, digits))
    assert (question.ground_truth, question.options) == (digits, {"n": huge})
    cases = [{"args": [25], "expected": math.factorial(25)}]
    tests = {"tests": {"kind": "function", "entry_point": "f", "cases": cases}}
    program = "import math\ndef f(n): return math.factorial(n)"
    (found,) = scored([line("code", None, program, options=tests)])
    assert found["score"] == 1.0, found


BROKEN = [
    b"\xff\xfe\x00{",
    b"\x00" * 100,
    b"{",
    b"nul",
    b'"text"',
    b"\xef\xbb\xbf{}",
    b'{"scorer": "math", "response": "\\ud800"}',
    b'{"scorer": "math", "response": "7", "options": {"a": NaN}}',
    b'{"scorer": "math", "response": "7", "reference": 1' + b"0" * 200_000 + b"}",
    b'{"scorer": "json", "response": "7", "options": {"schema": ' + b"[" * 900 + b"]" * 900 + b"}}",
    b'{"scorer": "code", "response": "x", "options": {"tests": ' + b'{"a":' * 400 + b"1" + b"}" * 400 + b"}}",
    b'{"scorer": "genrm", "response": "7", "reference": "8"}',
    b"x" * (MAX_LINE + 1),
]


def test_no_line_ends_the_command(tmp_path: Path) -> None:
    settings = Settings(genrm=GenRMSettings(model=str(tmp_path / "no-model")))
    good = line("exact", "a", "a")
    found = scored([good, *(one for broken in BROKEN for one in (broken, good))], settings)
    assert [one["score"] for one in found] == [1.0, *[None, 1.0] * len(BROKEN)], found
    assert all(one["status"] == "infra_error" and one["why"] for one in found[1::2])


def test_the_seconds_of_verdicts_that_waited_keep_their_limit() -> None:
    """A process that is busy with others' answers is no part of a verdict's time."""
    settings = Settings.model_validate({"rtv": {"timeout_seconds": 0.5, "workers": 1}})
    slow = line("regex", None, "a" * 40 + "!", options={"pattern": "(a|a)*b|(a|aa)+$"})
    found = scored([slow, slow, slow, slow, line("exact", "a", "a")], settings)
    assert all(one["seconds"] <= 0.5 for one in found), found


def test_genrm_judges_beside_verifiers(tmp_path: Path) -> None:
    judge = GenRMSettings(model=str(save_tiny_judge(tmp_path)), dtype="float32")
    lines = [line("genrm", "Paris", "London"), line("exact", "a", "a"), line("genrm", ["bright sea"], "sea")]
    found = scored(lines, Settings(genrm=judge))
    assert [one["status"] for one in found] == ["judged", "correct", "judged"]
    assert all(0 < found[index]["score"] < 1 for index in (0, 2))
    assert found[0]["version"] == found[2]["version"] != ""


def test_a_judge_that_is_down_is_no_score(tmp_path: Path) -> None:
    with serving(save_tiny_judge(tmp_path)) as server:
        server.mode = "500"
        judge = GenRMSettings(backend="openai", endpoint=server.endpoint, model="tiny")
        found = scored([line("genrm", "Paris", "Paris"), line("exact", "a", "a")], Settings(genrm=judge))
    assert [(one["score"], one["status"]) for one in found] == [(None, "infra_error"), (1.0, "correct")]
    assert "HTTP 500" in found[0]["why"]


def test_every_scorer_says_its_policy() -> None:
    scorers = {scorer.name: scorer for scorer in list_scorers()}
    assert {"exact", "genrm", "instructions", "math", "sentence"} <= scorers.keys()
    assert all(scorer.policy for scorer in scorers.values())
    assert all(meaning for scorer in scorers.values() for meaning in scorer.options.values())
