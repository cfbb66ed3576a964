"""The judge on transformers keeps the contract, and its version follows its weights."""

from pathlib import Path

import pytest
import torch
from judge_contract import FRANCE, REQUESTS, JudgeContract
from safetensors.torch import load_file, save_file
from tiny_judge import save_tiny_judge

from infra.settings.genrm import GenRMSettings
from streams.messages import Question
from workers.judges.base import JudgeRequest, JudgeUnavailableError
from workers.judges.factory import build_judge
from workers.judges.hf import HfJudge, weights_hash


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_judge(tmp_path_factory.mktemp("judge"))


@pytest.fixture(scope="module")
def judge(folder: Path) -> HfJudge:
    return HfJudge(folder, "float32")


class TestHfJudge(JudgeContract):
    pass


def test_the_factory_builds_what_the_settings_name(folder: Path) -> None:
    built = build_judge(GenRMSettings(model=str(folder), dtype="float32"))
    assert built.version == HfJudge(folder, "float32").version


def test_bfloat16_judges_nearly_the_same(folder: Path, judge: HfJudge) -> None:
    exact = [found.score for found in judge.judge(REQUESTS)]
    assert [found.score for found in HfJudge(folder, "bfloat16").judge(REQUESTS)] == pytest.approx(exact, abs=0.1)


def test_a_response_longer_than_the_context_is_judged_without_its_middle(judge: HfJudge) -> None:
    long_question = Question(prompt="capital " * 5000, ground_truth="Paris")
    found = judge.judge([JudgeRequest(FRANCE, "London " * 5000), JudgeRequest(long_question, "Paris " * 5000)])
    assert all(0.0 < one.score < 1.0 for one in found)


def test_the_version_is_of_the_weights(folder: Path, tmp_path: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    before = weights_hash(tmp_path)
    weights["lm_head.weight"][0, 0] += 1.0
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    assert weights_hash(tmp_path) != before
    with pytest.raises(FileNotFoundError, match=r"no \*.safetensors"):
        weights_hash(tmp_path / "elsewhere")


def test_damaged_weights_are_no_score(folder: Path) -> None:
    damaged = HfJudge(folder, "float32")
    with torch.no_grad():
        damaged._model.get_input_embeddings().weight.fill_(float("nan"))
    with pytest.raises(JudgeUnavailableError, match="no number"):
        damaged.judge(REQUESTS)
