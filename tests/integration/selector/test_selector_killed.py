"""The selector's process is killed again and again while a run goes on: no group is lost, none comes twice."""

import random
import signal
import time

import pytest
from sqlalchemy import select
from support.waiting import wait_until

from infra.db.models import Run
from trainer.audit.audit import audit_run
from trainer.curriculum.runs import Phase

KILLS = 4


def phase_of(engine) -> str | None:
    with engine.connect() as connection:
        return connection.scalar(select(Run.phase))


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_killed_at_any_moment(make_loop, engine, prompts):
    loop = make_loop(max_steps=12, poll_seconds=0.02)
    rng = random.Random(7)
    loop.peer.start_lineage()
    process, kills = loop.start("selector"), 0
    next_kill = len(loop.groups()) + 1

    def finished() -> bool:
        nonlocal process, kills, next_kill
        loop.peer.work()
        if phase_of(engine) == Phase.DRAIN:
            loop.peer.finish_short()
        if kills < KILLS and len(loop.groups()) >= next_kill:
            time.sleep(rng.random() * 0.05)  # any moment of a round, not always the same
            process.kill()
            process.wait()
            kills += 1
            next_kill = len(loop.groups()) + rng.randint(2, 12)
            process = loop.start("selector")
        return phase_of(engine) == Phase.FINISHED

    wait_until(finished, "the end of the run", seconds=150, details=loop.logs)
    assert process.wait(timeout=60) == 0, loop.logs()
    assert kills == KILLS
    groups = loop.groups()
    assert [group.seq for group in groups] == list(range(len(groups)))
    assert all(group.outcome is not None for group in groups)
    assert loop.peer.most_open <= 4
    report = audit_run(loop.settings, loop.bootstrap, engine)
    assert report.violations == []
    assert report.groups["train"] == {"trained": 24}


def test_asked_to_stop_it_stops_with_zero(make_loop, prompts, engine):
    loop = make_loop()
    loop.peer.start_lineage()
    process = loop.start("selector")
    wait_until(lambda: loop.groups() or process.poll() is not None, "its first groups", details=loop.logs)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 0, loop.logs()
    assert phase_of(engine) == Phase.EVAL_BEFORE
