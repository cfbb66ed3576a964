"""Puzzles and SQL as prompts: rows of a dataset become questions, and lines of a scoring file become verdicts."""

import json
from pathlib import Path
from typing import Any

import pytest

from infra.settings.tree import RtvSettings, Settings
from trainer.prompts.dataset import Defaults, PromptRow, parse_row, read_dataset
from workers.scoring.offline import score_lines
from workers.verifiers.puzzle.verifier import PuzzleVerifier
from workers.verifiers.registry import verifier_names

ENTRY = {"question": "Make 25 of 2, 3, 5.", "answer": "(2 + 3)*5", "metadata": {"numbers": [2, 3, 5], "target": 25}}
ROW = {
    "domain": "puzzles",
    "prompt": ENTRY["question"],
    "verifier": "puzzle",
    "ground_truth": ENTRY["answer"],
    "options": {"dataset": "countdown", "entry": ENTRY},
}
DEFAULTS = Defaults(verifiers=tuple(verifier_names()))


@pytest.mark.parametrize("options", [ROW["options"], json.dumps(ROW["options"])])
def test_an_entry_is_a_row_of_a_dataset(tmp_path: Path, options: Any) -> None:
    """Options may be an object, or its JSON as text, in which Parquet keeps it."""
    file = tmp_path / "puzzles.jsonl"
    file.write_text(json.dumps(ROW | {"options": options}) + "\n")
    ((_, row),) = read_dataset(file, DEFAULTS)
    assert isinstance(row, PromptRow), row
    assert PuzzleVerifier().verify(row.question, "5*(3 + 2)").score == 1.0
    assert PuzzleVerifier().verify(row.question, "5*(3 - 2)").score == 0.0


def test_an_entry_without_an_answer_is_one_too() -> None:
    entry = {"question": "?", "answer": None, "metadata": {"cube_size": 2, "scramble_moves": "R"}}
    options = {"dataset": "rubiks_cube", "entry": entry}
    row = parse_row({"domain": "puzzles", "prompt": "?", "verifier": "puzzle", "options": options}, DEFAULTS)
    assert PuzzleVerifier().verify(row.question, "R'").score == 1.0


def test_lines_of_a_scoring_file() -> None:
    schema = {"schema": "CREATE TABLE t (a); INSERT INTO t VALUES (1);"}
    sql = {"scorer": "sql", "reference": "SELECT a FROM t", "prompt": "?", "options": schema}
    puzzle = {"scorer": "puzzle", "reference": ENTRY["answer"], "prompt": "?", "options": ROW["options"]}
    asked = [
        (puzzle, "<answer>2*5 + 3*5</answer>", 0.0),
        (puzzle, "<answer>(3 + 2)*5</answer>", 1.0),
        (sql, "```sql\nSELECT a FROM t\n```", 1.0),
        (sql, "SELECT 1", 0.0),
        (sql | {"options": {}}, "SELECT 1", None),
    ]
    lines = [json.dumps(line | {"response": response}) for line, response, _ in asked]
    found = [json.loads(line) for line in score_lines(lines, Settings(rtv=RtvSettings(workers=1)))]
    assert [line["score"] for line in found] == [score for *_, score in asked], found
