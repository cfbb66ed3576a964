"""Preparation, whole, on a tiny model: interrupted, resumed, repeated, and independent of the run's seed."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from support.tiny_model import save_tiny_judge_model

from infra.demo.keep import KINDS
from infra.demo.plan import Recipe
from infra.demo.prepare import Prepared, make_kept, prepare
from infra.demo.prompts import heldout_tasks
from infra.files.artifacts import REPORT
from infra.settings.tree import Settings
from trainer.prompts.dataset import Defaults, PromptRow, read_dataset
from trainer.reward_models.bradley_terry import BradleyTerrySettings
from trainer.supervised.fit import FitSettings
from trainer.supervised.genrm import JudgeFitSettings
from trainer.supervised.sft import SftSettings
from workers.models.model_files import WEIGHTS_FILE

SMALL = Recipe(
    sft=SftSettings(fit=FitSettings(steps=2, learning_rate=1e-4, lora_rank=2), batch=4),
    judge=JudgeFitSettings(fit=FitSettings(steps=4, learning_rate=1e-4, upper_share=0.5, lora_rank=2), groups=2),
    bt=BradleyTerrySettings(fit=FitSettings(steps=2, learning_rate=1e-4, lora_rank=2), batch=2, heldout_share=0.0),
    passages=2,
    measured_passages=1,
    measured_writing=4,
    answers=2,
)
LIMITS = {"mathematics": 4, "instructions": 4, "reading": 4, "writing": 24}
"""Some of the tiny model's sentences end within 24 tokens, so that there is something to compare."""


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
@pytest.mark.timeout(900)  # three preparations, however busy the machine
def test_preparation_resumes_and_is_made_once(tiny: Path, tmp_path: Path) -> None:
    def stop_in_the_judge(what: str, done: int, _total: int) -> None:
        if what == "genrm" and done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(settings(tiny, tmp_path), stop_in_the_judge, SMALL)
    left = {path.name.split("-")[0] for path in tmp_path.iterdir() if path.is_dir()}
    assert left == {"sft", "policy", "samples"}

    told: list[tuple[str, int, int]] = []
    first = prepare(settings(tiny, tmp_path), lambda *step: told.append(step), SMALL)
    assert first.report["made"] == ["genrm", "judge", "measures", "bt", "references", "prompts", "base"]
    assert all(done <= total for _, done, total in told)
    again = prepare(settings(tiny, tmp_path, seed=7), recipe=SMALL)
    assert again.report["made"] == []
    assert again.policy == first.policy
    assert again.base_scores == first.base_scores
    check(first)


@pytest.mark.slow
@pytest.mark.timeout(900)  # two preparations, however busy the machine
def test_what_is_kept_is_the_same_each_time_it_is_made(tiny: Path, tmp_path: Path) -> None:
    made = []
    for name in ("first", "second"):
        torch.manual_seed(len(made))
        make_kept(settings(tiny, tmp_path / name), recipe=SMALL)
        made.append({kind: next((tmp_path / name).glob(f"{kind}-????????????????")) for kind in KINDS})
    first, second = made
    for kind in KINDS:
        assert first[kind].name == second[kind].name
        files = {path.name for path in first[kind].iterdir()} - {REPORT}
        assert all((first[kind] / file).read_bytes() == (second[kind] / file).read_bytes() for file in files)
    for kind in ("measures", "base"):
        reports = [json.loads((own[kind] / REPORT).read_text(encoding="utf-8"))["report"] for own in made]
        assert reports[0] == reports[1]


@pytest.mark.slow
@pytest.mark.timeout(900)  # three preparations, however busy the machine
def test_kept_artifacts_spare_the_fit_and_the_scores(tiny: Path, tmp_path: Path) -> None:
    make_kept(settings(tiny, tmp_path / "first"), recipe=SMALL)
    kept = tmp_path / "kept"
    for kind in KINDS:
        (made,) = (tmp_path / "first").glob(f"{kind}-????????????????")
        shutil.copytree(made, kept / kind)
    second = prepare(settings(tiny, tmp_path / "second"), recipe=SMALL, kept=kept)
    assert second.report["made"] == ["policy", "judge", "prompts"]
    again = prepare(settings(tiny, tmp_path / "first"), recipe=SMALL, kept=None)
    for one, two in ((again.policy, second.policy), (again.judge, second.judge)):
        assert (one / WEIGHTS_FILE).read_bytes() == (two / WEIGHTS_FILE).read_bytes()
    assert again.prompts.read_bytes() == second.prompts.read_bytes()
    assert again.base_scores == second.base_scores
    other = replace(SMALL, sft=replace(SMALL.sft, batch=5))
    make_kept(settings(tiny, tmp_path / "second"), recipe=other)
    assert len(list((tmp_path / "second").glob("sft-*"))) == 2  # kept, but made with other settings


def check(prepared: Prepared) -> None:
    rows = {}
    for name, path in (("train", prepared.prompts), ("heldout", prepared.heldout)):
        rows[name] = [row for _, row in read_dataset(path, Defaults())]
        assert all(isinstance(row, PromptRow) for row in rows[name])
    assert set(prepared.base_scores) == {row.id for row in rows["heldout"]}
    assert len(prepared.base_scores) == len(heldout_tasks())
    assert all(len(scores) == 2 for scores in prepared.base_scores.values())
    assert 0 <= prepared.report["judge"]["canary_false_positive_rate"] <= 1
    assert set(prepared.report["seconds"]) >= {*KINDS, "policy", "judge", "prompts"}
    for folder in (prepared.policy, prepared.judge):
        assert (folder / "model.safetensors").is_file()
