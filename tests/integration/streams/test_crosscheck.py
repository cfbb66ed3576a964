"""The cross-check as a process: what it reads from the log, writes to the log and to Postgres, and leaves alone."""

import time
from collections.abc import Callable

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session
from support.messages import verdict
from support.stage_loop import RIGHT, WRONG, StageLoop, rollout
from support.waiting import wait_until

from infra.db.models import PromptStats, Score
from streams.clients import LogReader
from streams.codec import decode
from streams.messages import Purpose, Route, ScoredTrajectory, Status
from streams.topics import Topic
from workers.scoring.rescore.topics import ScorerId, rescored_topic
from workers.verifiers.registry import load_verifier


@pytest.mark.parametrize("killed", [False, True])
def test_a_verifier_checks_what_a_judge_has_passed(
    make_loop: Callable[..., StageLoop], database: dict[str, str], engine: Engine, *, killed: bool
) -> None:
    loop = make_loop(database=database, crosscheck={"scorers": {"genrm": "math"}, "share": 1.0})
    texts = [RIGHT if number % 2 else WRONG for number in range(40)]
    made = [
        rollout(number, text, verifier=None, purpose=Purpose.EVAL if number < 20 else Purpose.TRAIN)
        for number, text in enumerate(texts)
    ]
    scored = [
        verdict(one, 0.9, status=Status.JUDGED, route=Route.GENRM, scorer="judge", scored_at=time.time())
        for one in made
    ]
    loop.send(*scored)
    topic = rescored_topic(loop.settings.topics.prefix, ScorerId("math", load_verifier("math").version))
    if killed:
        with loop.serving("crosscheck"):
            wait_until(lambda: _second(engine), "the first second scores", details=loop.logs)
    loop.send(verdict(rollout(40, RIGHT), 1.0), verdict(rollout(41, RIGHT), None))  # no second scorer, no score
    with loop.serving("crosscheck"):
        loop.await_committed("crosscheck", 42)

    second = _second(engine)
    assert {row.rollout_id: row.score for row in second} == {
        one.rollout_id: float(text == RIGHT) for one, text in zip(made, texts, strict=True)
    }
    assert all(row.shadow and row.scorer == "math" for row in second)
    with LogReader(loop.settings.broker, loop.bootstrap, [topic]) as reader:
        log = [decode(record.value, ScoredTrajectory).rollout.rollout_id for record in reader.read_to_end()]
    assert set(log) == {one.rollout_id for one in made}
    assert killed or len(log) == len(made)
    with Session(engine) as session:
        assert session.scalars(select(PromptStats)).all() == []
    assert len(loop.records(Topic.SCORED)) == 42
    assert loop.records(Topic.DEAD_LETTERS) == []


def _second(engine: Engine) -> list[Score]:
    with Session(engine) as session:
        return list(session.scalars(select(Score).where(Score.route == "rescored")))
