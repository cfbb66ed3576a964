"""A reward model as a judge keeps the judges' contract, compares with a reference, and judges without one."""

import math
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from support.judge_contract import FRANCE, REQUESTS, WRITING, JudgeContract, judged
from support.tiny_model import save_tiny_model
from transformers import AutoModelForSequenceClassification

from infra.settings.genrm import GenRMSettings
from streams.messages import Question
from workers.judges.base import Judge, JudgeRequest
from workers.judges.bradley_terry_judge import BradleyTerryJudge, to_judgement
from workers.judges.factory import build_judge, judge_version
from workers.judges.reward_model import Responses, RewardModel, RewardModelError
from workers.models.chat import load_tokenizer


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    policy = save_tiny_model(tmp_path_factory.mktemp("policy"), seed=2)
    target = tmp_path_factory.mktemp("rm")
    torch.manual_seed(0)
    AutoModelForSequenceClassification.from_pretrained(policy, num_labels=1).save_pretrained(target)
    load_tokenizer(policy).save_pretrained(target)
    return target


@pytest.fixture(scope="module")
def judge(folder: Path) -> Judge:
    return build_judge(GenRMSettings(backend="bt", model=str(folder), dtype="float32"))


class TestBradleyTerryJudge(JudgeContract):
    pass


def rewards(folder: Path, prompt: str, *texts: str) -> list[float]:
    model = RewardModel.load(folder, dtype="float32")
    return model.rewards([Responses(({"role": "user", "content": prompt},), texts)])[0]


def test_a_score_is_the_probability_that_the_response_is_preferred(judge: Judge, folder: Path) -> None:
    response, reference = rewards(folder, WRITING.prompt, "sea", WRITING.references[0])
    (found,) = judged(judge, [JudgeRequest(WRITING, "sea")])
    assert found.score == pytest.approx(1 / (1 + math.exp(reference - response)), abs=1e-4)
    (truth,) = judged(judge, [JudgeRequest(FRANCE, "Paris")])
    assert truth.score == pytest.approx(0.5, abs=1e-4)


def test_without_a_reference_the_order_is_that_of_the_rewards(judge: Judge, folder: Path) -> None:
    texts = ["one", "two words", "and three words"]
    alone = judged(judge, [JudgeRequest(Question(prompt="Write."), text) for text in texts])
    expected = rewards(folder, "Write.", *texts)
    assert [one.score for one in alone] == pytest.approx([1 / (1 + math.exp(-value)) for value in expected], abs=1e-4)


def test_the_order_of_two_responses_changes_nothing(judge: Judge) -> None:
    def against(response: str, reference: str) -> float:
        question = Question(prompt="Write.", references=(reference,))
        return judged(judge, [JudgeRequest(question, response)])[0].score

    assert against("one", "two") + against("two", "one") == pytest.approx(1.0, abs=1e-5)


def test_large_margins_are_probabilities_too() -> None:
    assert to_judgement(-1e6).score == pytest.approx(0.0)
    assert to_judgement(1e6, -1e6).score == 1.0


def test_a_version_names_the_weights_and_their_type(judge: Judge, folder: Path) -> None:
    assert judge.version == f"{RewardModel.load(folder).version}-float32"
    assert (judge.name, judge.needs_reference) == ("bt", False)
    assert judge.version == judge_version(GenRMSettings(backend="bt", model=str(folder), dtype="float32"))
    rounded = [one.score for one in judged(BradleyTerryJudge(folder), REQUESTS)]
    assert rounded == pytest.approx([one.score for one in judged(judge, REQUESTS)], abs=0.1)


def test_a_language_model_is_no_reward_model(tmp_path: Path) -> None:
    policy = save_tiny_model(tmp_path, seed=2)
    with pytest.raises(RewardModelError, match="rm train-bt"):
        build_judge(GenRMSettings(backend="bt", model=str(policy)))


def test_options_of_generative_judges_are_refused() -> None:
    with pytest.raises(ValidationError, match="are of generative judges"):
        GenRMSettings(backend="bt", orders="both")
    with pytest.raises(ValidationError, match="prompt = 'rubric'"):
        GenRMSettings(backend="bt", votes=3)
