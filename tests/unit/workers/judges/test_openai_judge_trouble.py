"""The judge behind an endpoint that is absent, slow or talks nonsense: no score then, and the next answer counts."""

import asyncio
import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from support.judge_contract import FRANCE, ITALY, REQUESTS, judged
from support.judge_server import ODD, JudgeServer, remote, serving
from support.tiny_judge import save_tiny_judge
from support.waiting import wait_until

from infra.settings.genrm import GenRMSettings
from workers.judges.base import Judge, JudgeFailure, Judgement, JudgeRequest, JudgeUnavailableError
from workers.judges.endpoint import retry_after
from workers.judges.factory import build_judge

PARIS = JudgeRequest(FRANCE, "Paris")


@pytest.mark.parametrize("mode", ["garbage", "other shape", "500", "404"])
def test_what_a_server_in_trouble_says_is_not_remembered(server: JudgeServer, judge: Judge, mode: str) -> None:
    server.exact, server.mode = True, mode
    with suppress(JudgeUnavailableError):
        assert isinstance(judge.judge([PARIS])[0], JudgeFailure)
    server.mode = "well"
    judged(judge, [PARIS])
    assert "logprob_token_ids" in server.bodies[-1]


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
        ("absurd", "not a part of a distribution"),
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
    with pytest.raises(JudgeUnavailableError, match="no whole answer in time"):
        slow.judge(REQUESTS)
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


def test_a_judge_that_is_closed_ends_what_is_under_way(server: JudgeServer) -> None:
    hanging = remote(server)
    judged(hanging, [PARIS])
    server.mode = "hang"
    with ThreadPoolExecutor() as threads:
        before = len(server.paths)
        asked = threads.submit(hanging.judge, [PARIS])
        wait_until(lambda: len(server.paths) > before, "the request")
        started = time.monotonic()
        asyncio.run(_close(hanging))  # as a stage does, from a running loop
        with pytest.raises(JudgeUnavailableError, match="closed meanwhile"):
            asked.result()
    assert time.monotonic() - started < 20  # the server hangs for 30
    hanging.close()
    with pytest.raises(JudgeUnavailableError, match="closed before"):
        hanging.judge([PARIS])
    assert hanging.prefix_hit_rate() is None


async def _close(judge: Judge) -> None:
    judge.close()
