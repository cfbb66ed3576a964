"""The judge on a real vLLM server keeps the contract, and gives the scores of the same judge on transformers."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from bench.vllm_server import MODEL
from support.judge_contract import FRANCE, ITALY, WRITING, JudgeContract, judged

from infra.settings.genrm import GenRMSettings
from streams.messages import Question
from workers.judges.base import Judge, JudgeFailure, Judgement, JudgeRequest
from workers.judges.canary import canary_requests
from workers.judges.factory import build_judge

pytestmark = [pytest.mark.vllm, pytest.mark.slow, pytest.mark.timeout(300)]

SUM = Question(prompt="What is 17 + 25? Answer with just the number.", ground_truth="42")
STORY = Question(
    prompt="Write two sentences about a lighthouse, in English.",
    references=("The lighthouse blinks over black water. Its keeper counts the ships.", "It is tall."),
)
VARIED = [
    *[JudgeRequest(FRANCE, response) for response in ("Paris", "It is Lyon, or Rome.")],
    *[JudgeRequest(SUM, response) for response in ("42", "<think>17+25</think> 41", "٤٢")],
    *[JudgeRequest(STORY, response) for response in ("A lamp turns.\n\nWaves break below.", "light " * 30, "¡Olé! 🗼")],
    *canary_requests(JudgeRequest(ITALY, ""))[-3:],
]
FORMS = {
    "short": {"prompt": "short"},
    "rubric": {"prompt": "rubric", "rubrics": {"": "Short answers are preferred."}},
    "three verdicts": {"prompt": "rubric", "verdicts": 3, "references": 2, "orders": "one"},
}


def remote(url: str, **settings: object) -> Judge:
    # A cold server's first batch takes up to 30 seconds.
    given = {"backend": "openai", "endpoint": url, "model": MODEL, "timeout_seconds": 120}
    return build_judge(GenRMSettings(**given | settings))


@pytest.fixture(scope="module")
def judge(vllm_server: str) -> Iterator[Judge]:
    found = remote(vllm_server, prompt="short")
    yield found
    found.close()


class TestVllmJudge(JudgeContract):
    pass


@pytest.mark.parametrize("form", FORMS)
def test_scores_equal_those_on_transformers(vllm_server: str, demo_model: Path, form: str) -> None:
    local = build_judge(GenRMSettings(model=str(demo_model), dtype="float32", **FORMS[form]))
    requests = VARIED if form == "short" else VARIED[::3]  # a rubric's prompt is five times as long
    expected = judged(local, requests)
    local.close()
    served = remote(vllm_server, **FORMS[form])
    found = judged(served, requests)
    served.close()
    assert [one.score for one in found] == pytest.approx([one.score for one in expected], abs=1e-3)
    assert [one.off_verdict_mass for one in found] == pytest.approx(
        [one.off_verdict_mass for one in expected], abs=1e-3
    )
    assert [one.details.get("flips") for one in found] == [one.details.get("flips") for one in expected]


def test_verdicts_are_read_by_token_id_in_a_chat_too(vllm_server: str) -> None:
    chat = remote(vllm_server, api="chat")
    found = judged(chat, [JudgeRequest(FRANCE, "Paris"), JudgeRequest(WRITING, "The sea is bright.")])
    assert chat._model._access.chat
    assert chat._model._access.ids
    assert all(0.0 < one.score < 1.0 for one in found)
    chat.close()


def test_a_response_beyond_the_context_is_cut_and_judged(vllm_server: str) -> None:
    rubric = remote(vllm_server, prompt="rubric")
    [found] = judged(rubric, [JudgeRequest(FRANCE, "Paris is lovely. " * 4000)])
    assert 0.0 < found.score < 1.0
    rubric.close()


def test_what_candidates_share_is_found_in_the_cache(vllm_server: str) -> None:
    shared = Question(prompt="Tell me about this text. " + "The river runs to the sea. " * 60, ground_truth="It runs.")
    rubric = remote(vllm_server, prompt="rubric")
    rubric.prefix_hit_rate()
    judged(rubric, [JudgeRequest(shared, f"It runs {number} miles.") for number in range(8)])
    rate = rubric.prefix_hit_rate()
    assert rate is not None
    assert rate > 0.5
    rubric.close()


def test_votes_are_sampled(vllm_server: str) -> None:
    """SmolLM2-135M seldom ends in a verdict: a share of the votes, or said to be none."""
    voting = remote(vllm_server, votes=4, vote_tokens=48)
    for found in voting.judge([JudgeRequest(FRANCE, "Paris"), JudgeRequest(SUM, "41")]):
        if isinstance(found, JudgeFailure):
            assert "none of 4 samples ends in a verdict" in found.why
        else:
            assert isinstance(found, Judgement)
            assert (1 - found.off_verdict_mass) * 4 == pytest.approx(round((1 - found.off_verdict_mass) * 4))
    voting.close()


def test_an_unknown_model_is_an_outage_that_names_it(vllm_server: str) -> None:
    other = build_judge(GenRMSettings(backend="openai", endpoint=vllm_server, model="no-such-judge"))
    with pytest.raises(RuntimeError, match="no model 'no-such-judge'"):
        other.judge([JudgeRequest(FRANCE, "Paris")])
    other.close()
