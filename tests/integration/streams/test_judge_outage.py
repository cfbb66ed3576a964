"""A judge's server that is down, refuses, fails, hangs and talks nonsense, under a stage that runs on: records wait in
the log, none is lost, none becomes 0, and each is scored once.
"""

import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from urllib.request import urlopen

import msgspec
import pytest
from support.judge_server import JudgeServer, serving
from support.stage_loop import CAPITAL, StageLoop, rollout
from support.tiny_judge import save_tiny_judge
from support.waiting import wait_until

from infra.local.ports import free_port
from streams.codec import decode
from streams.messages import Rollout, ScoredTrajectory, Status
from streams.topics import Topic

pytestmark = pytest.mark.slow

SESSION_SECONDS = 6
"""The consumer group's session timeout; a held batch outlasts it."""
STOP_SECONDS = 30
"""A stage gives up its batch within seconds; it would wait for the judge for ever."""


def judged(number: int) -> Rollout:
    return msgspec.structs.replace(rollout(number, "Rome", **CAPITAL), deadline=time.time() + 600)


def gauge(port: int, name: str) -> float:
    lines = scraped(port).splitlines()
    return next((float(line.split()[-1]) for line in lines if line.startswith(f"rewardstream_{name}{{")), 0.0)


def scraped(port: int) -> str:
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        return str(answer.read().decode())


def probed(server: JudgeServer, mode: str, times: int) -> None:
    """Until the stage has asked so often in this mode."""
    server.mode, before = mode, len(server.paths)
    wait_until(lambda: len(server.paths) >= before + times, f"{times} requests in mode {mode!r}")


def test_a_judge_that_fails_in_every_way_holds_the_stage_and_costs_no_score(
    make_loop: Callable[..., StageLoop], tmp_path: Path
) -> None:
    judge, port, metrics = save_tiny_judge(tmp_path / "judge"), free_port(), free_port()
    genrm = {"backend": "openai", "endpoint": f"http://127.0.0.1:{port}/v1", "model": "judge", "prompt": "short"}
    genrm |= {"batch": 8, "attempts": 2, "backoff_seconds": 0.05, "timeout_seconds": 0.5, "canary_every": 0}
    loop = make_loop(genrm=genrm, selector={"admission": {"deadline_seconds": 2.0}})
    loop.send(*(judged(number) for number in range(20)), topic=Topic.GENRM_REQUESTS)
    with loop.serving("genrm", metrics_port=metrics) as first:
        loop.await_log("genrm", "unavailable")  # nothing listens there yet
        loop.await_log("genrm", "stage genrm has made no progress for")
        assert "group r1:" in loop.log("genrm").partition("has made no progress")[2].partition("@")[0]
        assert gauge(metrics, "no_progress_seconds") >= 1
        assert "rewardstream_event_loop_lag_seconds" in scraped(metrics)
        started = time.monotonic()
        with serving(judge, port) as server:
            server.retry_after = "0.3"
            for mode in ("500", "429", "503", "hang", "garbage", "other shape"):
                probed(server, mode, 3)
            server.mode = "500"
            wait_until(lambda: time.monotonic() - started > SESSION_SECONDS + 1, "the end of a session")
            lag = gauge(metrics, "consumer_lag_messages")  # of the embedded broker only a lower bound
            assert lag > 0
            loop.send(*(judged(number) for number in range(20, 24)), topic=Topic.GENRM_REQUESTS)
            wait_until(lambda: gauge(metrics, "consumer_lag_messages") > lag, "a larger lag", details=loop.logs)
            assert gauge(metrics, "scorer_unavailable") == 1
            assert loop.committed("genrm") == 0
            server.mode = "well"
            loop.read(Topic.SCORED, 24)
            wait_until(lambda: gauge(metrics, "scorer_unavailable") == 0, "a judge that is there", details=loop.logs)

            loop.send(*(judged(number) for number in range(24, 30)), topic=Topic.GENRM_REQUESTS)
            probed(server, "hang", 2)
            first.send_signal(signal.SIGTERM)
            assert first.wait(STOP_SECONDS) == 0, loop.logs()
            server.mode = "well"
            with loop.serving("genrm"):
                records = loop.read(Topic.SCORED, 30)
                loop.await_committed("genrm", 30)
    scored = [decode(record.value, ScoredTrajectory) for record in records]
    assert Counter(one.rollout.rollout_id for one in scored) == Counter(f"r1:{number}/0" for number in range(30))
    assert {one.status for one in scored} == {Status.JUDGED}
    assert all(one.score is not None and one.score > 0 for one in scored)
