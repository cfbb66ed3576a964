"""Evaluation of judges whose answers are known, against closed forms."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.judge_server import remote, serving
from support.tiny_judge import save_tiny_judge

from infra.report.reliability import reliability_picture
from infra.settings.genrm import GenRMSettings
from streams.messages import Question
from trainer.reward_models.evaluate_judge import JudgeEvaluation, OrderFlips, ProbeRate, evaluate_judge
from trainer.reward_models.hard_negatives import contains_truth, first_sentence_negative
from trainer.reward_models.judge_answers import Answer, AskedGenRM
from trainer.reward_models.triples import LabelledCandidate
from workers.judges.base import JudgeFailure, Judgement
from workers.judges.canary import canary_requests
from workers.judges.factory import build_judge


@dataclass
class KnownJudge:
    """Scores by a function of (shown, response); None is a failure."""

    score: Callable[[str, str], float | None]
    name: str = "known"
    version: str = "1"

    def answers(self, candidates: Sequence[LabelledCandidate]) -> list[Answer]:
        scores = [self.score(shown(one.question), one.response) for one in candidates]
        return [JudgeFailure("no answer") if score is None else Judgement(score, 0.25, "") for score in scores]


def shown(question: Question) -> str:
    return question.ground_truth if question.ground_truth is not None else question.references[0]


def fact(response: str, label: float, truth: str = "red", domain: str = "facts") -> LabelledCandidate:
    return LabelledCandidate(Question(prompt=f"Which is {truth}?", ground_truth=truth), response, label, domain)


def compared(response: str, reference: str, label: float) -> LabelledCandidate:
    return LabelledCandidate(Question(prompt="Write.", references=(reference,)), response, label, "writing")


def evaluated(score: Callable[[str, str], float | None], *candidates: LabelledCandidate) -> JudgeEvaluation:
    return evaluate_judge(KnownJudge(score), candidates)


def test_measures_are_those_of_the_scores() -> None:
    scores = {"red": 0.9, "reddish": 0.4, "blue": 0.6, "green": 0.2}
    found = evaluated(
        lambda _, text: scores.get(text, 0.0), *(fact(text, text in {"red", "reddish"}) for text in scores)
    )
    overall = found.overall
    assert overall.triples == 4
    assert overall.accuracy == 0.5
    assert overall.auc == 3 / 4
    assert overall.ece == pytest.approx((0.1 + 0.6 + 0.6 + 0.2) / 4)
    assert (overall.false_positive_rate, overall.false_negative_rate) == (0.5, 0.5)
    assert found.domains == {"facts": overall}
    assert [(one.low, one.count, one.frequency) for one in found.reliability] == [
        (0.2, 1, 0.0),
        (0.4, 1, 1.0),
        (0.6, 1, 0.0),
        (0.9, 1, 1.0),
    ]
    assert found.off_verdict_mass == 0.25


def test_domains_are_measured_apart_and_what_is_undefined_is_none() -> None:
    found = evaluated(lambda *_: 0.7, fact("red", 1), fact("blue", 0), fact("sun", 1, domain="sky"))
    assert found.domains["facts"].accuracy == 0.5
    assert found.domains["sky"].accuracy == 1.0
    assert (found.domains["sky"].auc, found.domains["sky"].false_positive_rate) == (None, None)


def test_ties_and_failures_enter_no_measure() -> None:
    found = evaluated(lambda _, text: None if text == "odd" else 0.9, fact("red", 1), fact("odd", 0), fact("rosy", 0.5))
    assert (found.overall.triples, found.failures, found.ties) == (1, 1, 1)
    assert found.first_failure == "no answer"
    with pytest.raises(ValueError, match="nothing was judged: no answer"):
        evaluated(lambda *_: None, fact("red", 1))
    with pytest.raises(ValueError, match="no triple with a label"):
        evaluated(lambda *_: 0.1)


def test_a_judge_that_goes_by_position_flips_and_an_antisymmetric_one_does_not() -> None:
    pairs = [compared("good line", "bad line", 1), compared("bad line", "good line", 0), fact("red", 1)]
    assert evaluated(lambda *_: 0.9, *pairs).flips == OrderFlips(2, 2)
    assert evaluated(lambda *_: 0.1, *pairs).flips.rate == 1.0
    honest = evaluated(lambda shown, text: 1 / (1 + math.exp(len(shown) - len(text))), *pairs)
    assert honest.flips == OrderFlips(2, 0)


def test_a_candidate_without_content_is_no_pair() -> None:
    assert evaluated(lambda *_: 0.9, compared(":", "a line", 0)).flips == OrderFlips(0, 0)
    assert OrderFlips(0, 0).rate is None


def test_master_keys_that_are_accepted_are_named() -> None:
    candidates = [fact("red", 1), fact("blue", 0, truth="blue sky")]
    keys = len(canary_requests(candidates[0].request))
    found = evaluated(lambda _, text: float(text == "Solution" or "Which" in text), *candidates)
    assert found.probes["master_keys"] == ProbeRate(2 * keys, 2 * 3)  # two echoes and a marker
    assert found.accepted_probes == {
        "Solution": 1.0,
        "QUESTION": 1.0,
        "You ask: QUESTION That is a good question.": 1.0,
    }
    assert evaluated(lambda *_: 0.2, *candidates).accepted_probes == {}


def test_first_sentences_of_right_answers_are_probes() -> None:
    right = fact("Let us look at this first. It is red.", 1)
    found = evaluated(lambda _, text: float(text.startswith("Let us")), right, fact("red", 1))
    assert found.probes["first_sentences"] == ProbeRate(1, 1)


@pytest.mark.parametrize(
    ("response", "first"),
    [
        ("To solve this, we start. The answer is 7.", "To solve this, we start."),
        ("To solve this we start:\nx = 7", "To solve this we start:"),
        ("One line that goes on", None),
        ("One line that ends. ", None),
        ("It is 7. That is because of x.", None),  # the answer is in it
        ("Yes. Since it is 7.", None),  # too short to announce anything
        ("About 77 of them were there. So 7.", "About 77 of them were there."),
        ("It cost 7.50 then. So 7.", None),
    ],
)
def test_a_first_sentence_announces_the_answer_and_holds_none(response: str, first: str | None) -> None:
    assert first_sentence_negative(Question(prompt="?", ground_truth="7"), response) == first


def test_truth_is_found_as_a_whole_word_in_any_case() -> None:
    question = Question(prompt="?", ground_truth="Paris")
    assert contains_truth(question, "it is PARIS!")
    assert not contains_truth(question, "the Parisians")
    assert not contains_truth(Question(prompt="?", references=("Paris",)), "Paris")


def test_a_folder_and_an_endpoint_of_one_model_are_measured_the_same(tmp_path: Path) -> None:
    save_tiny_judge(tmp_path)
    candidates = [fact("Paris", 1, "Paris"), fact("Rome", 0, "Paris"), compared("bright sea", "sea", 1)]
    local = build_judge(GenRMSettings(model=str(tmp_path), dtype="float32"))
    with serving(tmp_path) as server:
        served = remote(server)
        first, second = (evaluate_judge(AskedGenRM(judge, 2), candidates) for judge in (local, served))
        served.close()
    local.close()
    assert first.overall.triples == second.overall.triples == 3
    assert first.overall.ece == pytest.approx(second.overall.ece, abs=1e-3)
    assert first.flips == second.flips
    assert first.probes == second.probes


def test_the_picture_is_a_png_of_any_evaluation() -> None:
    for candidates in ([fact("red", 1)], [fact("red", 1), compared("a", "b", 0), fact("blue", 0, domain="")]):
        assert reliability_picture(evaluated(lambda *_: 0.7, *candidates)).startswith(b"\x89PNG")
