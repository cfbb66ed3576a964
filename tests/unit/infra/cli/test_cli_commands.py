"""Commands that need no broker and no database."""

import json
from pathlib import Path

from infra.cli.errors import ExitCode


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
    assert {"line", "score", "status", "why", "scorer", "version", "seconds"} == set(verdicts[0])


def test_the_exit_code_of_score_says_whether_every_line_was_judged(rewardstream, tmp_path: Path) -> None:
    file = tmp_path / "lines.jsonl"
    good = json.dumps({"scorer": "exact", "reference": "a", "response": "b"})
    for lines, expected in (
        ([good], ExitCode.OK),
        ([good, "{", good], ExitCode.NO_VERDICT),
        ([good, "x" * (9 * 2**20), good], ExitCode.NO_VERDICT),
        ([], ExitCode.OK),
    ):
        file.write_text("\n".join(lines))
        code, out, err = rewardstream("score", str(file))
        assert (code, len(out.splitlines()), err) == (expected, len(lines), "")
    assert ExitCode.NO_VERDICT == 4  # stable: scripts ask for it


def test_score_of_a_file_that_is_not_there(rewardstream, tmp_path: Path) -> None:
    code, _, err = rewardstream("score", str(tmp_path / "gone.jsonl"))
    assert code == ExitCode.UNREACHABLE
    assert "gone.jsonl cannot be read" in err


def test_scorers_are_listed_with_what_counts(rewardstream) -> None:
    found = {scorer["name"]: scorer for scorer in json.loads(rewardstream("score", "--list", "--json")[1])}
    assert {"exact", "math", "genrm"} <= found.keys()
    assert all(scorer["policy"] for scorer in found.values())
    code, listed, _ = rewardstream("score", "--list")
    assert code == 0
    for name, scorer in found.items():
        assert f"{name} {scorer['version']}".strip() in listed
        assert all(f"    {option}: " in listed for option in scorer["options"])


def test_score_without_a_file_says_what_is_missing(rewardstream) -> None:
    code, _, err = rewardstream("score")
    assert code == ExitCode.USAGE
    assert "FILE is missing" in err
