"""kill -9 in the middle of a rescore, then again: one effective score a rollout, in the log and in Postgres."""

import signal

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session
from support.past_run import INSTALLED, RIGHT, WRONG, PastRun
from support.waiting import wait_until

from infra.db.models import Score
from streams.clients import LogReader
from workers.scoring.rescore.topics import ScorerId, rescored_topic, rescored_topics

GROUPS, SIZE = 300, 4
"""Several seconds of verdicts, so that the kill comes before their end on a fast machine too."""
RECORDS_BEFORE_THE_KILL = 8


def test_a_killed_rescore_goes_on_where_it_was(past: PastRun, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    for seq in range(GROUPS):
        past.group(seq, (RIGHT, WRONG) * (SIZE // 2), (0.5,) * SIZE)
    options = ("rescore", "--run", past.run_id, "--scorer", "math", "--set", "rtv.batch=4")
    child = past.process(*options, start_new_session=True)
    _await_records(past, RECORDS_BEFORE_THE_KILL)
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.communicate()
    assert 0 < len(past.new_records()) < GROUPS * SIZE

    assert past.rescore(monkeypatch, "--scorer", "math") == 0
    expected = {f"{seq}/{index}": float(index % 2 == 0) for seq in range(GROUPS) for index in range(SIZE)}
    assert past.new_scores() == expected
    with Session(engine) as session:
        rows = session.execute(
            select(Score.rollout_id, Score.score, func.count()).group_by(Score.rollout_id, Score.score)
        )
        found = {name.removeprefix(f"{past.run_id}:"): (score, count) for name, score, count in rows}
    assert found == {name: (score, 1) for name, score in expected.items()}


def _await_records(past: PastRun, count: int) -> None:
    """At least `count` records in the topic of the new scores."""
    prefix, topic = past.settings.topics.prefix, rescored_topic(past.settings.topics.prefix, ScorerId.parse(INSTALLED))
    wait_until(
        lambda: topic in rescored_topics(past.settings.broker, past.bootstrap, prefix), "the topic of the new scores"
    )
    with LogReader(past.settings.broker, past.bootstrap, [topic]) as reader:
        past.read_until(reader, lambda records: len(records) >= count, f"{count} new scores")
