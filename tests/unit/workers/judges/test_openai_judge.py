"""The judge behind an endpoint: the same scores as the model behind it, whatever the endpoint can do."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.judge_contract import FRANCE, REQUESTS, WRITING, JudgeContract, judged
from support.judge_server import CONTEXT_CHARACTERS, JudgeServer, remote, serving
from support.tiny_judge import THREE_VERDICTS, save_tiny_judge

from infra.settings.genrm import GenRMSettings
from workers.judges.base import Judge, JudgeFailure, Judgement, JudgeRequest
from workers.judges.factory import build_judge

PARIS = JudgeRequest(FRANCE, "Paris")


class TestOpenAIJudge(JudgeContract):
    pass


class TestOpenAIJudgeByTokenId(JudgeContract):
    @pytest.fixture
    def judge(self, server: JudgeServer) -> Iterator[Judge]:
        server.exact = True
        found = remote(server)
        yield found
        found.close()


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("mode", ["well", "no completions", "unknown fields"])
@pytest.mark.parametrize("form", ["short", "rubric"])
def test_scores_equal_those_of_the_model_behind_it(
    server: JudgeServer, folder: Path, mode: str, form: str, *, exact: bool
) -> None:
    server.mode, server.exact = mode, exact
    own = remote(server, prompt=form)
    local = build_judge(GenRMSettings(model=str(folder), dtype="float32", prompt=form))
    for expected, found in zip(judged(local, REQUESTS), judged(own, REQUESTS), strict=True):
        assert found.score == pytest.approx(expected.score, abs=1e-3)
        assert found.off_verdict_mass == pytest.approx(expected.off_verdict_mass, abs=1e-3)
    by_id = [body for body in server.bodies if "logprob_token_ids" in body]
    assert bool(by_id) is exact
    own.close()


def test_a_word_beyond_the_likeliest_twenty_is_read_by_its_id(tmp_path: Path) -> None:
    words = tuple(f"word{number}" for number in range(200))
    folder = save_tiny_judge(tmp_path, words)
    local = build_judge(GenRMSettings(model=str(folder), dtype="float32"))
    expected = [one.score for one in judged(local, REQUESTS)]
    with serving(folder) as server:
        blind = remote(server)
        seen = [one.score if isinstance(one, Judgement) else None for one in blind.judge(REQUESTS)]
        assert seen != pytest.approx(expected, abs=1e-3)
        server.exact = True
        exact = remote(server)
        assert [one.score for one in judged(exact, REQUESTS)] == pytest.approx(expected, abs=1e-3)
        blind.close()
        exact.close()


def test_what_a_server_can_do_is_asked_once(server: JudgeServer, judge: Judge) -> None:
    server.mode = "no completions"
    judge.judge([PARIS])
    server.paths.clear()
    judge.judge([PARIS])
    assert server.paths == ["/v1/chat/completions"]


def test_another_kind_of_tokenize_is_not_used(server: JudgeServer, judge: Judge) -> None:
    server.exact, server.tokenize = True, {"tokens": []}
    judged(judge, [PARIS])
    assert "logprob_token_ids" not in server.bodies[-1]


def test_the_api_that_the_settings_name_is_used(server: JudgeServer) -> None:
    chat = remote(server, api="chat")
    judged(chat, [PARIS])
    assert set(server.paths) == {"/tokenize", "/v1/chat/completions"}
    assert chat.version != remote(server).version
    chat.close()


def test_a_tokenizer_without_a_verdict_is_named(server: JudgeServer) -> None:
    server.exact = True
    three = remote(server, prompt="rubric", verdicts=3)
    [found] = three.judge([PARIS])
    assert isinstance(found, JudgeFailure)
    assert "'tiny' has no single token for CORRECT" in found.why
    assert not found.outage
    three.close()


def test_three_verdicts_are_read_by_their_ids(tmp_path: Path) -> None:
    folder = save_tiny_judge(tmp_path, THREE_VERDICTS)
    local = build_judge(GenRMSettings(model=str(folder), dtype="float32", prompt="rubric", verdicts=3))
    with serving(folder) as server:
        server.exact = True
        three = remote(server, prompt="rubric", verdicts=3)
        for expected, found in zip(judged(local, REQUESTS), judged(three, REQUESTS), strict=True):
            assert found.score == pytest.approx(expected.score, abs=1e-3)
            assert found.details["invalid"] == pytest.approx(expected.details["invalid"], abs=1e-3)
        three.close()


def test_requests_in_work_are_bounded(server: JudgeServer) -> None:
    chat = remote(server, api="chat", connections=3)
    judged(chat, [PARIS])
    server.in_work = server.most_in_work = 0
    judged(chat, REQUESTS)
    assert 1 <= server.most_in_work <= 3
    chat.close()


def test_a_prompt_that_is_too_long_is_cut_until_it_is_answered(server: JudgeServer) -> None:
    server.mode = "short context"
    rubric = remote(server, prompt="rubric")
    long, brief = judged(rubric, [JudgeRequest(FRANCE, "Paris " * 5000), PARIS])
    assert 0.0 < long.score < 1.0
    answered = [text for body in server.bodies for text in body.get("prompt", ()) if len(text) <= CONTEXT_CHARACTERS]
    assert any("characters of its middle are left out" in text for text in answered)
    assert brief.score == pytest.approx(judged(rubric, [PARIS])[0].score)
    rubric.close()


@pytest.mark.parametrize("api", ["completions", "chat"])
def test_votes_are_shares_of_the_samples(server: JudgeServer, api: str) -> None:
    server.votes = ["It fits.\nVerdict: YES", "No.\nVerdict: NO", "Hm.\n**Verdict:** yes.", "cut off in the mid"]
    voting = remote(server, prompt="rubric", votes=4, api=api)
    first, again = judged(voting, [PARIS]), judged(voting, [PARIS])
    assert first == again
    assert first[0].score == pytest.approx(2 / 3)
    assert first[0].off_verdict_mass == pytest.approx(0.25)
    asked = [body for body in server.bodies if "n" in body]
    assert {body["n"] for body in asked} == {4}
    assert len({body["seed"] for body in asked}) == 1
    voting.close()


def test_votes_without_a_verdict_are_no_score(server: JudgeServer) -> None:
    server.votes = ["I cannot tell."] * 2
    voting = remote(server, prompt="rubric", votes=2)
    [found] = voting.judge([PARIS])
    assert isinstance(found, JudgeFailure)
    assert "none of 2 samples ends in a verdict" in found.why
    voting.close()


def test_pairs_are_asked_in_both_orders(server: JudgeServer) -> None:
    both = remote(server, prompt="rubric", references=2)
    [found] = judged(both, [JudgeRequest(WRITING, "capital")])
    prompts = [text for body in server.bodies for text in body.get("prompt", ()) if "Response A" in text]
    assert len(prompts) == 4
    assert len(found.details["orders"]) == 2
    won, lost = zip(*found.details["orders"], strict=True)
    assert found.score == pytest.approx(sum((w + 1 - x) / 2 for w, x in zip(won, lost, strict=True)) / 2)
    both.close()


def test_the_hit_rate_is_the_servers(server: JudgeServer, judge: Judge) -> None:
    assert judge.prefix_hit_rate() is None
    server.exact = True
    assert judge.prefix_hit_rate() == 0.75
    assert judge.prefix_hit_rate() is None  # nothing asked since


@pytest.mark.parametrize("key", ["", "secret"])
def test_the_key_goes_into_the_header_only(server: JudgeServer, key: str) -> None:
    judge = remote(server, api_key=key)
    headers = judge._model._endpoint._client.headers
    assert headers.get("Authorization") == (f"Bearer {key}" if key else None)
    assert "secret" not in judge.version
    judge.close()
