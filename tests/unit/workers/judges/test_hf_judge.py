"""The judge on transformers keeps the contract, and its version follows its weights."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from support.judge_contract import FRANCE, REQUESTS, JudgeContract, judged
from support.tiny_judge import THREE_VERDICTS, save_tiny_judge

from infra.settings.genrm import GenRMSettings
from streams.messages import Question
from workers.judges.base import Judge, JudgeFailure, JudgeRequest
from workers.judges.factory import build_judge, judge_version
from workers.judges.hf import HfModel, weights_hash
from workers.judges.judge import GenerativeJudge
from workers.judges.judging_scheme import JudgingScheme
from workers.judges.prompt import PromptForm


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_judge(tmp_path_factory.mktemp("judge"))


@pytest.fixture(scope="module")
def judge(folder: Path) -> Judge:
    return hf_judge(folder)


def hf_judge(folder: Path, dtype: str = "float32", scheme: JudgingScheme | None = None) -> GenerativeJudge:
    scheme = scheme or JudgingScheme()
    return GenerativeJudge(HfModel(folder, scheme, dtype), scheme)


class TestHfJudge(JudgeContract):
    pass


def test_the_factory_builds_what_the_settings_name(folder: Path) -> None:
    built = build_judge(GenRMSettings(model=str(folder), dtype="float32"))
    assert built.version == hf_judge(folder).version == f"{weights_hash(folder)}-p1-short-float32"


def test_a_judge_s_version_is_known_without_its_model(folder: Path) -> None:
    for settings in (
        GenRMSettings(model=str(folder), dtype="float32"),
        GenRMSettings(model=str(folder), prompt="rubric", orders="one"),
        GenRMSettings(backend="openai", endpoint="http://127.0.0.1:9/v1", model="judge", votes=3),
    ):
        assert judge_version(settings) == build_judge(settings).version


def test_bfloat16_judges_nearly_the_same(folder: Path, judge: Judge) -> None:
    exact = [found.score for found in judged(judge, REQUESTS)]
    rounded = [found.score for found in judged(hf_judge(folder, "bfloat16"), REQUESTS)]
    assert rounded == pytest.approx(exact, abs=0.1)


def test_a_response_longer_than_the_context_is_judged_without_its_middle(judge: Judge) -> None:
    long_question = Question(prompt="capital " * 5000, ground_truth="Paris")
    found = judged(judge, [JudgeRequest(FRANCE, "London " * 5000), JudgeRequest(long_question, "Paris " * 5000)])
    assert all(0.0 < one.score < 1.0 for one in found)


@pytest.mark.parametrize("verdicts", [2, 3])
def test_the_other_forms_judge_too(tmp_path: Path, verdicts: int) -> None:
    folder = save_tiny_judge(tmp_path, THREE_VERDICTS)
    scheme = JudgingScheme(PromptForm.RUBRIC, verdicts=verdicts, both_orders=True, references=2)
    found = judged(hf_judge(folder, scheme=scheme), REQUESTS)
    assert all(0.0 < one.score < 1.0 for one in found)
    assert [len(one.details.get("orders", ())) for one in found] == [0] * 10 + [2] * 5
    assert all(("invalid" in one.details) == (verdicts == 3) for one in found)


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
    model = HfModel(folder, JudgingScheme(), "float32")
    with torch.no_grad():
        model._model.get_input_embeddings().weight.fill_(float("nan"))
    for found in GenerativeJudge(model, JudgingScheme()).judge(REQUESTS):
        assert isinstance(found, JudgeFailure)
        assert "are its weights damaged" in found.why
        assert not found.outage


def test_a_tokenizer_without_the_verdicts_is_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match="no single token for any of Correct, correct, CORRECT"):
        HfModel(folder, JudgingScheme(PromptForm.RUBRIC, verdicts=3), "float32")
