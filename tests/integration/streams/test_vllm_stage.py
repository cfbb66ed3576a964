"""Rollouts in, scores out, through router and GenRM stage with the judge on a real vLLM server."""

from collections.abc import Callable

import pytest
from bench.vllm_server import MODEL
from support.stage_loop import StageLoop, rollout

from streams.codec import decode
from streams.messages import ScoredTrajectory, Status
from streams.topics import Topic


@pytest.mark.parametrize("bootstrap", [pytest.param("kafka", marks=pytest.mark.kafka)], indirect=True)
@pytest.mark.vllm
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_rollouts_are_judged_by_vllm(make_loop: Callable[..., StageLoop], vllm_server: str) -> None:
    genrm = {"backend": "openai", "endpoint": vllm_server, "model": MODEL, "prompt": "short", "canary_every": 1}
    loop = make_loop(genrm=genrm)
    question = {"prompt": "What is the capital of France?", "verifier": None, "ground_truth": "Paris"}
    loop.send(*(rollout(number, text, **question) for number, text in enumerate(("Paris", "Rome", "", "Paris"))))
    with loop.serving("router"), loop.serving("genrm"):
        scored = [decode(record.value, ScoredTrajectory) for record in loop.read(Topic.SCORED, 4)]
    found = {one.rollout.rollout_id: one for one in scored}
    assert len(scored) == len(found) == 4
    assert {one.status for one in scored} == {Status.JUDGED}
    assert {one.scorer for one in scored} == {"genrm-openai"}
    assert found["r1:2/0"].score == 0.0
    assert found["r1:0/0"].score == pytest.approx(found["r1:3/0"].score, abs=1e-3)
    assert all(0 < found[name].score < 1 for name in ("r1:0/0", "r1:1/0"))
