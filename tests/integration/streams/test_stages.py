"""The stages of the loop as processes, between the topics of real brokers."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session
from support.stage_loop import CAPITAL, StageLoop, rollout
from support.tiny_judge import save_tiny_judge

from infra.cli.errors import ExitCode
from infra.db.models import PromptStats, Score
from streams.codec import decode, header
from streams.dead_letters import choose, list_dead_letters, replay
from streams.messages import Rollout, Route, ScoredTrajectory, Status
from streams.topics import Topic


def test_rollouts_are_routed_scored_and_set_aside_and_the_stages_stop_in_order(loop: StageLoop) -> None:
    """Router and RTV as they are, with real verifier processes."""
    loop.send(rollout(0), rollout(1, "The answer is 6"), rollout(2, verifier=None))
    loop.send_bytes(Topic.ROLLOUTS, b"\x00broken", ("route", b"rtv"))
    loop.send_bytes(Topic.ROLLOUTS, b"body", ("route", b"nowhere"))

    with loop.serving("router") as router, loop.serving("rtv") as rtv:
        scored = [decode(record.value, ScoredTrajectory) for record in loop.read(Topic.SCORED, 2)]
        letters = loop.read(Topic.DEAD_LETTERS, 2)
        for child in (router, rtv):
            child.send_signal(signal.SIGTERM)
        assert [child.wait(60) for child in (router, rtv)] == [0, 0]

    by_id = {message.rollout.rollout_id: message for message in scored}
    assert {name: (message.score, message.status) for name, message in by_id.items()} == {
        "r1:0/0": (1.0, Status.CORRECT),
        "r1:1/0": (0.0, Status.WRONG),
    }
    assert {message.route for message in scored} == {Route.RTV}
    [judged] = loop.read(Topic.GENRM_REQUESTS, 1)
    assert decode(judged.value, Rollout) == rollout(2, verifier=None)
    assert {record.value for record in letters} == {b"\x00broken", b"body"}
    # What was done is committed at the stop, so that nothing is done twice without need.
    assert loop.committed("router") == 5
    assert loop.committed("rtv") == 3


def test_dead_letters_are_listed_put_back_and_counted(loop: StageLoop) -> None:
    loop.send_bytes(Topic.ROLLOUTS, b"body", ("route", b"nowhere"), ("mine", b"1"))
    with loop.serving("router"):
        loop.read(Topic.DEAD_LETTERS, 1)
        with loop.reader(Topic.DEAD_LETTERS) as reader:
            letters = list_dead_letters(reader)
        assert replay(loop.producer, choose(letters, [letters[0].id]), 10) == 1
        first, second = loop.read(Topic.DEAD_LETTERS, 2)
    assert (first.value, second.value) == (b"body", b"body")
    assert header(second.headers, "mine") == "1"
    assert header(second.headers, "dead_letter.attempts") == "2"
    times = [header(record.headers, "dead_letter.first_failed_at") for record in (first, second)]
    assert times[0] == times[1]


def test_judged_rollouts_end_in_postgres_once(
    make_loop: Callable[..., StageLoop], database: dict[str, str], engine: Engine, tmp_path: Path
) -> None:
    """GenRM with a real judge of twenty words, and the difficulty sink; one rollout is delivered twice."""
    judge = {"model": str(save_tiny_judge(tmp_path / "judge")), "dtype": "float32"}
    loop = make_loop(database=database, genrm=judge)
    rollouts = [rollout(number, text, **CAPITAL) for number, text in enumerate(("Paris", "Rome", "Paris sea"))]
    loop.send(*rollouts, rollouts[0])
    with loop.serving("router"), loop.serving("genrm"), loop.serving("difficulty") as difficulty:
        scored = [decode(record.value, ScoredTrajectory) for record in loop.read(Topic.SCORED, 4)]
        loop.await_committed("difficulty", 4)
        difficulty.send_signal(signal.SIGTERM)
        assert difficulty.wait(60) == 0

    with Session(engine) as session:
        rows = {row.rollout_id: row for row in session.scalars(select(Score))}
        stats = session.scalars(select(PromptStats)).one()
    assert set(rows) == {"r1:0/0", "r1:1/0", "r1:2/0"}
    for message in scored:
        assert (message.route, message.status) == (Route.GENRM, Status.JUDGED)
        assert message.score is not None
        assert rows[message.rollout.rollout_id].score == pytest.approx(message.score)
    assert stats.count == 3
    assert stats.mean == pytest.approx(sum(row.score or 0 for row in rows.values()) / 3)


@pytest.mark.slow
def test_a_replica_that_joins_and_one_that_is_killed_lose_nothing(loop: StageLoop) -> None:
    count = 300
    with loop.serving("router", "-a") as first:
        loop.send(*(rollout(number) for number in range(count // 3)))
        loop.read(Topic.RTV_REQUESTS, count // 3)
        with loop.serving("router", "-b"):
            loop.send(*(rollout(number) for number in range(count // 3, 2 * count // 3)))
            loop.read(Topic.RTV_REQUESTS, 2 * count // 3)
            first.kill()
            loop.send(*(rollout(number) for number in range(2 * count // 3, count)))
            loop.await_committed("router", count)
    names = {decode(record.value, Rollout).rollout_id for record in loop.read(Topic.RTV_REQUESTS, count)}
    assert names == {f"r1:{number}/0" for number in range(count)}


def test_a_stage_without_its_topics_says_so_and_ends(loop: StageLoop) -> None:
    topics = loop.settings.topics.model_copy(update={"prefix": "nobody"})
    loop.settings = loop.settings.model_copy(update={"topics": topics})
    assert loop.start("router").wait(60) == ExitCode.FAILED
    assert "no topic nobody.prompts" in loop.log("router")
