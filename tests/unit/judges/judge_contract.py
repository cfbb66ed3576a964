"""What every judge must do; inherited by the tests of each."""

import random

import pytest

from streams.messages import Question
from workers.judges.base import Judge, JudgeRequest

FRANCE = Question(prompt="What is the capital of France?", ground_truth="Paris")
ITALY = Question(prompt="What is the capital of Italy?", ground_truth="Rome")
WRITING = Question(prompt="Describe the bright sea", references=("bright sea", "sea"))
REQUESTS = [
    JudgeRequest(question, response)
    for question in (FRANCE, ITALY, WRITING)
    for response in ("Paris", "Rome", "London Paris Rome", "bright sea sea", "capital")
]


class JudgeContract:
    """Subclasses give the fixture `judge`."""

    def test_batch_order_and_company_change_no_score(self, judge: Judge) -> None:
        together = judge.judge(REQUESTS)
        shuffled = random.Random(0).sample(range(len(REQUESTS)), len(REQUESTS))
        for position, found in zip(shuffled, judge.judge([REQUESTS[index] for index in shuffled]), strict=True):
            assert found.score == pytest.approx(together[position].score, abs=1e-4)
        alone = [judge.judge([request])[0].score for request in REQUESTS]
        assert alone == pytest.approx([one.score for one in together], abs=1e-4)
        assert len({round(score, 4) for score in alone}) > len(REQUESTS) // 2  # it does look at what it is given

    def test_scores_are_shares(self, judge: Judge) -> None:
        for found in judge.judge(REQUESTS):
            assert 0.0 <= found.score <= 1.0
            assert 0.0 <= found.uncovered < 1.0
            assert found.why

    @pytest.mark.parametrize("response", ["", " ", "\n", ":", "...", "<|im_start|>", "Thought process:", "解"])
    def test_no_content_is_nothing_to_judge(self, judge: Judge, response: str) -> None:
        empty, real = judge.judge([JudgeRequest(FRANCE, response), JudgeRequest(FRANCE, "Paris")])
        assert (empty.score, empty.uncovered) == (0.0, 0.0)
        assert empty.why.startswith("no content")
        assert real.score > 0.0

    def test_nothing_asked_nothing_answered(self, judge: Judge) -> None:
        assert judge.judge([]) == []

    def test_a_question_without_reference_is_refused(self, judge: Judge) -> None:
        with pytest.raises(ValueError, match="no ground truth and no reference"):
            judge.judge([JudgeRequest(Question(prompt="Why?"), "Because")])

    def test_it_has_a_name_and_a_version(self, judge: Judge) -> None:
        assert judge.name
        assert judge.version
