"""Commands that need no broker and no database."""

import json
from pathlib import Path

import pytest

from infra.cli.errors import CommandError, ExitCode
from infra.cli.score import parse


def test_dry_run_prints_sources_and_starts_nothing(rewardstream, tmp_path: Path) -> None:
    code, out, _ = rewardstream("demo", "--dry-run", "--seed", "3", "--minutes", "2", "--run-folder", str(tmp_path))
    lines = {line.split(" = ")[0]: line for line in out.splitlines()}
    assert code == 0
    assert lines["run.seed"].endswith("# option --seed")
    assert lines["selector.max_train_seconds"].split(" = ")[1].startswith("120.0 ")
    assert "demo.toml:" in lines["selector.group_size"]
    assert list(tmp_path.iterdir()) == []


def test_dedicated_option_wins_over_set(rewardstream) -> None:
    _, out, _ = rewardstream("demo", "--dry-run", "--set", "run.seed=1", "--seed", "2")
    assert "run.seed = 2 " in out


def test_version(rewardstream) -> None:
    assert rewardstream("version")[:2] == (0, "0.1.0\n")


def test_score_prints_a_verdict_a_line_in_order(rewardstream, tmp_path: Path) -> None:
    rows = [
        {"scorer": "exact", "reference": "Paris", "prompt": "Capital of France?", "response": "Paris"},
        {"scorer": "math", "reference": "42", "prompt": "6 * 7?", "response": "41"},
        {"scorer": "exact", "reference": "Paris", "prompt": "Capital of France?", "response": "London"},
    ]
    file = tmp_path / "responses.jsonl"
    file.write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    code, out, _ = rewardstream("score", str(file))
    verdicts = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [(verdict["scorer"], verdict["score"], verdict["status"]) for verdict in verdicts] == [
        ("exact", 1.0, "correct"),
        ("math", 0.0, "wrong"),
        ("exact", 0.0, "wrong"),
    ]
    assert set(verdicts[0]) == {"score", "status", "why", "scorer", "version", "seconds"}


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{", "not JSON"),
        ("[]", "expected an object"),
        ('{"scorer": "magic", "response": ""}', "scorer: 'magic' is none of exact, "),
        ('{"scorer": "exact"}', "response: expected text"),
        ('{"scorer": "exact", "response": "", "reference": ["a"]}', "reference: expected text"),
        ('{"scorer": "exact", "response": "", "options": 1}', "options: expected an object"),
    ],
)
def test_score_refuses_a_line_by_its_number(line: str, problem: str) -> None:
    with pytest.raises(CommandError) as caught:
        parse(line, "file.jsonl:7")
    assert str(caught.value).startswith("file.jsonl:7: ")
    assert problem in str(caught.value)
    assert caught.value.code == ExitCode.USAGE


def test_judge_is_asked_with_truth_or_references() -> None:
    truth = parse('{"scorer": "genrm", "reference": "Paris", "response": "x"}', "f:1")
    best = parse('{"scorer": "genrm", "reference": ["a", "b"], "response": "x"}', "f:2")
    assert (truth.question.verifier, truth.question.ground_truth) == (None, "Paris")
    assert (best.question.ground_truth, best.question.references) == (None, ("a", "b"))
