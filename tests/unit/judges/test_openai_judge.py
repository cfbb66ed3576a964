"""The judge behind an endpoint: the same scores as the model behind it, and no score from one that misbehaves."""

import asyncio
import re
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from judge_contract import FRANCE, ITALY, REQUESTS, WRITING, JudgeContract, judged
from judge_server import CONTEXT_CHARACTERS, ODD, JudgeServer, serving
from tiny_judge import THREE_VERDICTS, save_tiny_judge

from infra.settings.genrm import GenRMSettings
from workers.judges.base import Judge, JudgeFailure, Judgement, JudgeRequest, JudgeUnavailableError
from workers.judges.endpoint import retry_after
from workers.judges.factory import build_judge

PARIS = JudgeRequest(FRANCE, "Paris")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_judge(tmp_path_factory.mktemp("judge"))


@pytest.fixture(scope="module")
def module_server(folder: Path) -> Iterator[JudgeServer]:
    with serving(folder) as found:
        yield found


@pytest.fixture
def server(module_server: JudgeServer) -> JudgeServer:
    module_server.mode, module_server.exact, module_server.retry_after = "well", False, ""
    module_server.votes, module_server.tokenize = [], None
    module_server.paths.clear()
    module_server.bodies.clear()
    return module_server


def remote(server: JudgeServer, **settings: object) -> Judge:
    given = {"backend": "openai", "endpoint": server.endpoint, "model": "tiny", "prompt": "short"}
    return build_judge(GenRMSettings(**given | settings))


@pytest.fixture
def judge(server: JudgeServer) -> Iterator[Judge]:
    found = remote(server)
    yield found
    found.close()


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
        assert found.uncovered == pytest.approx(expected.uncovered, abs=1e-3)
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


@pytest.mark.parametrize("mode", ["garbage", "other shape", "500", "404"])
def test_what_a_server_in_trouble_says_is_not_remembered(server: JudgeServer, judge: Judge, mode: str) -> None:
    server.exact, server.mode = True, mode
    with suppress(JudgeUnavailableError):
        assert isinstance(judge.judge([PARIS])[0], JudgeFailure)
    server.mode = "well"
    judged(judge, [PARIS])
    assert "logprob_token_ids" in server.bodies[-1]


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


@pytest.mark.parametrize(
    ("mode", "why"),
    [
        ("500", "HTTP 500"),
        ("502", "HTTP 502"),
        ("429", "HTTP 429"),
        ("401", "HTTP 401"),
        ("404", "neither /completions nor /chat/completions, or no model 'tiny'"),
    ],
)
@pytest.mark.parametrize("met", [False, True])
def test_an_outage_is_told_as_one_and_ends(
    server: JudgeServer, judge: Judge, mode: str, why: str, *, met: bool
) -> None:
    if met:
        judged(judge, [PARIS])
    server.mode = mode
    with pytest.raises(JudgeUnavailableError, match="HTTP 404" if met and mode == "404" else why) as raised:
        judge.judge([PARIS, *REQUESTS])
    assert server.endpoint in str(raised.value)
    server.mode = "well"
    assert judged(judge, [PARIS])[0].score > 0


@pytest.mark.parametrize(
    ("mode", "why"),
    [
        ("400", "HTTP 400: .*on purpose"),
        ("garbage", "not JSON"),
        ("other shape", "unexpected answer"),
        ("one choice short", "0 choices for 1"),
        ("neither", "the likeliest tokens are"),
        ("absurd", "no share of a distribution"),
    ],
)
def test_nonsense_is_no_score_and_no_outage(server: JudgeServer, judge: Judge, mode: str, why: str) -> None:
    judged(judge, [PARIS])
    server.mode = mode
    [found] = judge.judge([PARIS])
    assert isinstance(found, JudgeFailure)
    assert not found.outage
    assert re.search(why, found.why)
    server.mode = "well"
    assert judged(judge, [PARIS])[0].score > 0


def test_one_odd_request_fails_alone(server: JudgeServer, judge: Judge) -> None:
    server.mode = "one odd"
    odd = JudgeRequest(FRANCE, ODD)
    found = judge.judge([*REQUESTS, odd, PARIS])
    assert [isinstance(one, Judgement) for one in found] == [True] * len(REQUESTS) + [False, True]
    server.mode = "well"
    expected = [one.score for one in judged(judge, [*REQUESTS, PARIS])]
    assert [one.score for one in found if isinstance(one, Judgement)] == pytest.approx(expected, abs=1e-6)


def test_an_outage_of_some_requests_keeps_the_answers_to_others(server: JudgeServer, judge: Judge) -> None:
    server.mode, server.retry_after = "chat 429", "7"
    judged(judge, [PARIS])  # finds that it is a chat
    throttled, answered = judge.judge([JudgeRequest(ITALY, "Milan"), PARIS])
    assert isinstance(answered, Judgement)
    assert isinstance(throttled, JudgeFailure)
    assert (throttled.outage, throttled.retry_after) == (True, 7.0)


def test_retry_after_is_handed_on(server: JudgeServer, judge: Judge) -> None:
    server.mode, server.retry_after = "429", "12"
    with pytest.raises(JudgeUnavailableError) as raised:
        judge.judge([PARIS])
    assert raised.value.retry_after == 12.0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(None, None), ("30", 30.0), ("0.5", 0.5), ("-3", 0.0), ("soon", None), ("inf", None), ("nan", None)],
)
def test_retry_after_in_seconds(value: str | None, seconds: float | None) -> None:
    assert retry_after(value) == seconds


def test_retry_after_as_a_date() -> None:
    at = datetime.now(UTC) + timedelta(seconds=100)
    assert retry_after(format_datetime(at, usegmt=True)) == pytest.approx(100, abs=2)
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0


@pytest.mark.parametrize("mode", ["hang", "drip"])
def test_the_timeout_is_for_the_whole_answer(server: JudgeServer, mode: str) -> None:
    slow = remote(server, timeout_seconds=2)
    judged(slow, [PARIS])
    server.mode = mode
    started = time.monotonic()
    with pytest.raises(JudgeUnavailableError, match="no whole answer in time"):
        slow.judge(REQUESTS)
    assert time.monotonic() - started < 8  # 2 s, and room for a busy machine; a drip lasts 20
    slow.close()


def test_a_server_that_is_not_there_is_an_outage() -> None:
    with socket.socket() as taken:  # bound, but not listening
        taken.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        absent = build_judge(GenRMSettings(backend="openai", endpoint=endpoint, model="tiny"))
        with pytest.raises(JudgeUnavailableError, match="ConnectError"):
            absent.judge([PARIS])
        absent.close()


def test_a_server_that_was_replaced_is_met_anew(tmp_path: Path) -> None:
    with serving(save_tiny_judge(tmp_path / "old")) as old:
        old.exact = True
        judge = remote(old)
        judged(judge, [PARIS])
        port = old.server_address[1]
    with pytest.raises(JudgeUnavailableError, match="ConnectError"):
        judge.judge([PARIS])
    folder = save_tiny_judge(tmp_path / "new", ("more",))
    local = build_judge(GenRMSettings(model=str(folder), dtype="float32"))
    with serving(folder, port) as new:
        assert judged(judge, [PARIS])[0].score == pytest.approx(judged(local, [PARIS])[0].score, abs=1e-3)
        assert new.paths[0] == "/tokenize"
    judge.close()


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
    assert first[0].uncovered == pytest.approx(0.25)
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


def test_a_judge_that_is_closed_ends_what_is_under_way(server: JudgeServer) -> None:
    hanging = remote(server)
    judged(hanging, [PARIS])
    server.mode = "hang"
    with ThreadPoolExecutor() as threads:
        asked, before = threads.submit(hanging.judge, [PARIS]), len(server.paths)
        while len(server.paths) == before:
            time.sleep(0.01)
        started = time.monotonic()
        asyncio.run(_close(hanging))  # as a stage does, from a running loop
        with pytest.raises(JudgeUnavailableError, match="closed meanwhile"):
            asked.result()
    assert time.monotonic() - started < 5  # the server hangs for 30
    hanging.close()
    with pytest.raises(JudgeUnavailableError, match="closed before"):
        hanging.judge([PARIS])
    assert hanging.prefix_hit_rate() is None


async def _close(judge: Judge) -> None:
    judge.close()


@pytest.mark.parametrize("key", ["", "secret"])
def test_the_key_goes_into_the_header_only(server: JudgeServer, key: str) -> None:
    judge = remote(server, api_key=key)
    headers = judge._model._endpoint._client.headers
    assert headers.get("Authorization") == (f"Bearer {key}" if key else None)
    assert "secret" not in judge.version
    judge.close()
