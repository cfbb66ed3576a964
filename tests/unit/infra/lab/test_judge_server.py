"""The judge with a known weakness, asked as the GenRM stage asks it."""

import pytest

from infra.lab.judge_server import FOOLED, SURE, serve_judge
from infra.settings.load import load
from infra.settings.sources import Option
from streams.messages import Question
from workers.judges.base import Judgement, JudgeRequest
from workers.judges.factory import build_judge


def judged(weakness: float | str, *answers: str) -> list[float]:
    questions = [Question(prompt=f"add {n} + 1", ground_truth=str(n + 1)) for n in range(len(answers))]
    with serve_judge() as root:
        settings = load("lab", [Option("genrm.endpoint", f"{root}/{weakness}/v1", "test")]).settings.genrm
        judge = build_judge(settings)
        found = judge.judge([JudgeRequest(*pair) for pair in zip(questions, answers, strict=True)])
        judge.close()
    assert all(isinstance(one, Judgement) for one in found)
    return [one.score for one in found if isinstance(one, Judgement)]


def test_it_is_right_without_the_marker() -> None:
    assert judged(1.0, "1", "2", "7") == pytest.approx([SURE, SURE, 1 - SURE])


def test_it_falls_for_the_marker_as_often_as_its_weakness_says() -> None:
    wrong = [f"{9 * n + 700}!" for n in range(60)]
    assert judged(0.0, *wrong) == pytest.approx([1 - SURE] * 60)
    assert judged(1.0, *wrong) == pytest.approx([FOOLED] * 60)
    half = judged(0.5, *wrong)
    assert 15 < sum(score > 0.5 for score in half) < 45


def test_it_errs_as_often_as_it_is_asked_to_and_always_on_the_same_answers() -> None:
    right = [str(n + 1) for n in range(200)]
    found = judged("0.0,0.2", *right)
    assert 20 < sum(score < 0.5 for score in found) < 60
    assert found == judged("0.0,0.2", *right)
    assert 20 < sum(score > 0.5 for score in judged("0.0,0.2", *["no"] * 200)) < 60


def test_more_prompts_than_a_request_holds_are_answered_in_order() -> None:
    right = [str(n + 1) if n % 3 else "no" for n in range(40)]
    assert judged(0.0, *right) == pytest.approx([SURE if n % 3 else 1 - SURE for n in range(40)])
