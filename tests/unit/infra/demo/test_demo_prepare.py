"""Preparation, whole, on a tiny model: interrupted, resumed, repeated, and independent of the run's seed."""

from pathlib import Path

import pytest
from support.tiny_model import save_tiny_judge_model

from infra.demo.prepare import Prepared, Recipe, prepare
from infra.demo.prompts import heldout_tasks
from infra.settings.tree import Settings
from trainer.prompts.dataset import Defaults, PromptRow, read_dataset
from trainer.supervised.fit import FitSettings
from trainer.supervised.genrm import JudgeFitSettings
from trainer.supervised.sft import SftSettings

SMALL = Recipe(
    sft=SftSettings(fit=FitSettings(steps=2, learning_rate=1e-4), batch=4),
    judge=JudgeFitSettings(fit=FitSettings(steps=4, learning_rate=1e-4, upper_share=0.5), groups=2),
    facts=8,
    measured_facts=4,
    measured_writing=4,
    answers=2,
)
LIMITS = {"mathematics": 4, "instructions": 4, "knowledge": 4, "writing": 8}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_judge_model(tmp_path_factory.mktemp("tiny"))


def settings(model: Path, root: Path, seed: int = 0) -> Settings:
    return Settings.model_validate(
        {
            "model": {"path": str(model)},
            "run": {"prepared": root, "seed": seed},
            "rollout": {"sampling": {"max_new_tokens_by_domain": LIMITS}},
            "selector": {"eval_samples": 2},
        }
    )


@pytest.mark.slow
def test_preparation_resumes_and_is_made_once(tiny: Path, tmp_path: Path) -> None:
    def stop_in_the_judge(what: str, done: int, _total: int) -> None:
        if what == "judge" and done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(settings(tiny, tmp_path), stop_in_the_judge, SMALL)
    left = {path.name.split("-")[0] for path in tmp_path.iterdir() if path.is_dir()}
    assert left == {"sft", "samples"}

    told: list[tuple[str, int, int]] = []
    first = prepare(settings(tiny, tmp_path), lambda *step: told.append(step), SMALL)
    assert first.report["made"] == ["judge", "measures", "prompts", "base"]
    assert all(done <= total for _, done, total in told)
    again = prepare(settings(tiny, tmp_path, seed=7), recipe=SMALL)
    assert again.report["made"] == []
    assert again.policy == first.policy
    assert again.base_scores == first.base_scores
    check(first)


def check(prepared: Prepared) -> None:
    rows = {}
    for name, path in (("train", prepared.prompts), ("heldout", prepared.heldout)):
        rows[name] = [row for _, row in read_dataset(path, Defaults())]
        assert all(isinstance(row, PromptRow) for row in rows[name])
    assert set(prepared.base_scores) == {row.id for row in rows["heldout"]}
    assert len(prepared.base_scores) == len(heldout_tasks())
    assert all(len(scores) == 2 for scores in prepared.base_scores.values())
    assert 0 <= prepared.report["judge"]["canary_false_positive_rate"] <= 1
    assert set(prepared.report["seconds"]) == {"sft", "samples", "judge", "measures", "prompts", "base"}
    for folder in (prepared.policy, prepared.judge):
        assert (folder / "model.safetensors").is_file()
