"""A fit is a function of its seed: two fits with one seed give the same weights, whatever was drawn before."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from support.tiny_model import save_tiny_judge_model

from streams.messages import Question
from trainer.reward_models.bradley_terry import BradleyTerrySettings, fit_reward_model
from trainer.reward_models.preferences import RankedResponses
from trainer.supervised.fit import FitSettings
from trainer.supervised.genrm import JudgeFitSettings, Triple, TripleGroup, fit_judge
from trainer.supervised.sft import SFTExample, SftSettings, run_sft
from workers.models.model_files import WEIGHTS_FILE

WORDS = ("red", "sun", "cat", "sea")
ASKED = [({"role": "user", "content": f"Say {word}."},) for word in WORDS]
FITS = {
    "full": FitSettings(steps=3, learning_rate=1e-2),
    "upper layers": FitSettings(steps=3, learning_rate=1e-2, upper_share=0.5),
    "lora": FitSettings(steps=3, learning_rate=1e-2, lora_rank=2),
    "lora on upper layers": FitSettings(steps=3, learning_rate=1e-2, lora_rank=2, upper_share=0.5),
}


def sft(start: Path, out: Path, fit: FitSettings, seed: int) -> None:
    examples = [SFTExample(messages, word) for messages, word in zip(ASKED, WORDS, strict=True)]
    run_sft(start, examples, out, SftSettings(fit, batch=2, seed=seed))


def judge(start: Path, out: Path, fit: FitSettings, seed: int) -> None:
    groups = [
        TripleGroup(Question(prompt="Which?", ground_truth=word), (Triple(word, 1.0), Triple("moon", 0.0)))
        for word in WORDS
    ]
    fit_judge(start, groups, out, JudgeFitSettings(fit, groups=2, seed=seed))


def reward_model(start: Path, out: Path, fit: FitSettings, seed: int) -> None:
    groups = [RankedResponses(messages, (word, "moon"), ((0, 1),)) for messages, word in zip(ASKED, WORDS, strict=True)]
    fit_reward_model(start, groups, out, BradleyTerrySettings(fit, batch=2, heldout_share=0.0, seed=seed))


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_judge_model(tmp_path_factory.mktemp("tiny"))


@pytest.mark.parametrize("fit", FITS.values(), ids=FITS)
@pytest.mark.parametrize("make", [sft, judge, reward_model])
def test_one_seed_gives_one_model(
    start: Path, tmp_path: Path, make: Callable[[Path, Path, FitSettings, int], None], fit: FitSettings
) -> None:
    found = []
    for number, seed in enumerate((5, 5, 6)):
        torch.manual_seed(number)
        make(start, tmp_path / str(number), fit, seed)
        found.append(load_file(tmp_path / str(number) / WEIGHTS_FILE))
    first, second, other = found
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_an_adapter_of_the_upper_layers_leaves_the_lower_ones(start: Path, tmp_path: Path) -> None:
    sft(start, tmp_path, FITS["lora on upper layers"], 0)
    before, after = load_file(start / WEIGHTS_FILE), load_file(tmp_path / WEIGHTS_FILE)
    changed = {name.split(".")[2] for name in after if not torch.equal(before[name], after[name])}
    layers = {name.split(".")[2] for name in after if ".layers." in name}
    assert changed == set(sorted(layers)[len(layers) // 2 :])


def test_a_share_of_no_layer_is_refused(start: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"upper_share = 0: give a share"):
        sft(start, tmp_path, replace(FITS["lora"], upper_share=0), 0)
