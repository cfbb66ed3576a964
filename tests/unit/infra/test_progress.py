"""A stage that stands still: what its metric shows, and what its log says."""

import logging
from dataclasses import dataclass

import pytest
from support.waiting import wait_until

from infra.metrics import metrics
from infra.progress import StageProgress


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def shown(stage: str) -> float:
    return float(metrics.no_progress_seconds.labels(stage).collect()[0].samples[0].value)


def test_seconds_count_only_while_something_waits_and_nothing_is_finished() -> None:
    clock = Clock()
    progress = StageProgress("rtv", 10, clock)
    clock.now = 100
    assert shown("rtv") == 0
    progress.waits("group r1:7")
    clock.now = 104
    assert shown("rtv") == 4
    progress.waits("group r1:8")  # others came
    clock.now = 105
    assert shown("rtv") == 5
    progress.moved("group r1:7")
    assert shown("rtv") == 0
    clock.now = 107
    assert shown("rtv") == 2
    progress.waits(None)
    clock.now = 200
    assert shown("rtv") == 0


def test_the_line_names_stage_group_and_last_record_and_is_not_said_all_the_time(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    progress = StageProgress("genrm", 10, clock)
    progress.waits("group r1:6 in x.genrm.requests[0]@3")
    progress.moved("group r1:6 in x.genrm.requests[0]@3")
    progress.waits("group r1:7 in x.genrm.requests[0]@4")
    for clock.now in (9, 11, 15, 20.9, 21.5):
        progress.check()
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 2
    assert caplog.messages[0] == (
        "stage genrm has made no progress for 11 s: it works on, or waits with, group r1:7 in x.genrm.requests[0]@4; "
        "the last that it finished: group r1:6 in x.genrm.requests[0]@3"
    )


def test_it_is_said_while_the_stage_is_blocked(caplog: pytest.LogCaptureFixture) -> None:
    progress = StageProgress("rollout", 0.05)
    progress.waits("group r1:1")
    progress.watch()
    wait_until(lambda: "stage rollout has made no progress" in caplog.text, "the line")
    progress.waits(None)
