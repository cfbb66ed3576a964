"""An evaluation in numbers, as a table and as a picture."""

import io
import json
from pathlib import Path

from rich.console import Console

from infra.cli.evaluation_table import print_evaluation
from infra.report.build import write_evaluation
from infra.report.evaluation import ModelResult, summarise_evaluation
from infra.settings.evaluation import Skill
from infra.settings.load import with_changes
from infra.settings.tree import Settings
from trainer.evaluation.results import PromptScores

SETTINGS = with_changes(Settings(), evaluation={"samples": 2, "pass_at": (1, 2, 8)}, run={"seed": 3})
SETS = [{"set": "set.jsonl", "skill": None, "prompts": 4, "set_aside": 1}]


def result(model: str, gain: float = 0.0, prompts: int = 4, **fields: object) -> ModelResult:
    scores = [
        PromptScores(
            prompt_id=f"p{number}",
            domain="mathematics" if number % 2 else "letters",
            skill=Skill.STEM if number % 2 else None,
            scores=(min(1.0, number / 4 + gain), 0.0),
        )
        for number in range(prompts)
    ]
    values = {
        "model": model,
        "weights": "w" * 64,
        "source_run": None,
        "lineage": 0,
        "version": 0,
        "prompts": scores,
        "missing": 0,
        "unscorable": 0,
        "cut_off": 0.0,
        "failures": {},
        "run": None,
        "rollouts": 0,
        "seconds": 0.0,
        "violations": 0,
    }
    return ModelResult(**values | fields)  # type: ignore[arg-type]  # the fields of the class, by name


def printed(summary: dict[str, object]) -> str:
    console = Console(file=io.StringIO(), width=140)
    print_evaluation(summary, console)
    return console.file.getvalue()  # type: ignore[attr-defined]  # it is the StringIO


def test_one_model_has_a_table_by_skill_and_domain() -> None:
    summary = summarise_evaluation([result("tiny", source_run="r1", version=7)], SETS, SETTINGS)
    assert summary["comparison"] is None
    assert (summary["samples"], summary["seed"], summary["metrics"]) == (2, 3, ["avg@2", "pass@1", "pass@2"])
    rows = {(row["kind"], row["name"]): row for row in summary["models"][0]["rows"]}
    assert list(rows) == [
        ("overall", "overall"),
        ("skill", "stem"),
        ("domain", "letters"),
        ("domain", "mathematics"),
    ]
    overall = rows["overall", "overall"]
    assert (overall["prompts"], overall["responses"]) == (4, 8)
    assert overall["metrics"]["avg@2"]["value"] == 0.1875
    assert overall["metrics"]["pass@2"]["value"] == 0.25
    text = printed(summary | {"folder": "f", "picture": None})
    assert "tiny, version 7 of run r1: nothing generated" in text
    assert "skill: stem" in text
    assert "0.188 [" in text


def test_two_models_are_compared_prompt_by_prompt_and_drawn(tmp_path: Path) -> None:
    second = result(
        "second", 0.25, run="20260101-eval", rollouts=8, seconds=12.5, missing=1, failures={"why": 1}, cut_off=0.5
    )
    summary = summarise_evaluation([result("first"), second], SETS, SETTINGS)
    (overall, *_) = summary["comparison"]["rows"]
    assert overall["metrics"]["avg@2"] == {
        "first": 0.1875,
        "second": 0.3125,
        "difference": 0.125,
        "ci95": [0.125, 0.125],
        "p": 0.125,
    }
    placed = write_evaluation(tmp_path / "out", summary)
    assert json.loads((tmp_path / "out" / "evaluation.json").read_text()) == placed
    assert Path(placed["picture"]).read_bytes()[:4] == b"\x89PNG"
    text = printed(placed)
    assert "second: 8 responses generated in 12.5 s; 1 prompts without a result; 50% of the responses reached" in text
    assert "first: nothing generated\n" in text
    assert "second minus first, by prompt" in text
    assert "+0.125 [+0.125, +0.125]" in text


def test_one_model_is_drawn_and_nothing_is_not(tmp_path: Path) -> None:
    drawn = write_evaluation(tmp_path / "a", summarise_evaluation([result("tiny")], SETS, SETTINGS))
    assert Path(drawn["picture"]).read_bytes()[:4] == b"\x89PNG"
    empty = write_evaluation(tmp_path / "b", summarise_evaluation([result("tiny", prompts=0)], SETS, SETTINGS))
    assert empty["picture"] is None
    assert empty["models"][0]["rows"] == []
