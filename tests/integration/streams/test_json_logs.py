"""The logs of real service processes as JSON, with hostile text in them."""

import json
import signal
from collections.abc import Callable

from support.stage_loop import StageLoop, rollout

from streams.topics import Topic


def test_every_line_of_a_service_is_one_object(make_loop: Callable[..., StageLoop]) -> None:
    """Router and RTV with its verifier processes; a crash of the settings, and what kafka-python says, are in it."""
    loop = make_loop(logs={"format": "json"})
    loop.send(rollout(0), rollout(1, "\n{}\u2028\x00", verifier="no\nsuch"))
    with loop.serving("router") as router, loop.serving("rtv") as rtv:
        loop.read(Topic.SCORED, 2)
        for child in (router, rtv):
            child.send_signal(signal.SIGTERM)
        assert [child.wait(60) for child in (router, rtv)] == [0, 0]
    for service in ("router", "rtv"):
        lines = [json.loads(line) for line in loop.log(service).splitlines()]
        assert {"time", "level", "logger", "service", "run", "message"} <= set.intersection(*map(set, lines))
        assert {(line["service"], line["run"]) for line in lines} == {(service, loop.run_id)}
        assert "starting pid=" in lines[0]["message"]
        assert lines[-1]["message"] == "done"
