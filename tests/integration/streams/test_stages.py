"""The stages of the loop as processes, between the topics of real brokers."""

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from examples import ROLLOUT
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session
from stage_process import running
from tiny_judge import save_tiny_judge

from infra.db.models import PromptStats, Score
from infra.settings.tree import Settings
from streams.clients import LogReader, confirm, make_admin, make_producer, publish, send
from streams.codec import decode, header
from streams.dead_letters import choose, list_dead_letters, replay
from streams.messages import Question, Rollout, Route, ScoredTrajectory, Status
from streams.records import Output, Record
from streams.routing import route_of
from streams.topics import Topic, topic_name

PATIENCE = 40.0
"""Imports, the start of a verifier process, and a join of the group; on a busy machine."""


class Loop:
    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings
        self.folder = folder
        self.bootstrap = settings.broker.bootstrap_servers
        self.producer = make_producer(settings.broker, self.bootstrap)

    def close(self) -> None:
        self.producer.close()

    def topic(self, topic: Topic) -> str:
        return topic_name(self.settings.topics.prefix, topic)

    def publish(self, rollouts: list[Rollout]) -> None:
        deliveries = [
            publish(
                self.producer, self.topic(Topic.ROLLOUTS), rollout, rollout.group_id, route=route_of(rollout.question)
            )
            for rollout in rollouts
        ]
        confirm(self.producer, deliveries, 10)

    def read(self, topic: Topic, count: int) -> list[Record]:
        """At least `count` records from the beginning of the topic."""
        records: list[Record] = []
        deadline = time.monotonic() + PATIENCE
        with LogReader(self.settings.broker, self.bootstrap, [self.topic(topic)]) as reader:
            while len(records) < count:
                if time.monotonic() > deadline:
                    logs = "\n".join(path.read_text() for path in self.folder.glob("*.log"))
                    pytest.fail(f"{len(records)} of {count} on {topic}:\n{logs}")
                records += reader.poll(0.2)
        return records

    def committed(self, stage: str) -> int:
        group = f"{self.settings.topics.prefix}.{stage}"
        admin = make_admin(self.settings.broker, self.bootstrap)
        offsets = admin.list_group_offsets(group)
        admin.close()
        return sum(offset.offset for offset in offsets.get(group, {}).values())

    def run(self, stage: str, name: str = ""):
        return running(f"streams.apps.{stage}", self.settings, self.folder / f"{stage}{name}.log")


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def rollout(number: int, answer: str = "The answer is 5", **question: object) -> Rollout:
    asked = Question(**{"prompt": "What is 2 + 3?", "verifier": "math", "ground_truth": "5"} | question)
    return msgspec.structs.replace(
        ROLLOUT, group_id=f"r1:{number}", rollout_id=f"r1:{number}/0", index=0, text=answer, question=asked
    )


@pytest.fixture
def loop(topic_settings: Settings, tmp_path: Path) -> Iterator[Loop]:
    loop = Loop(topic_settings, tmp_path)
    yield loop
    loop.close()


def test_rollouts_are_routed_scored_and_set_aside_and_the_stages_stop_in_order(loop: Loop) -> None:
    """Router and RTV as they are, with real verifier processes."""
    loop.publish([rollout(0), rollout(1, "The answer is 6"), rollout(2, verifier=None)])
    broken = Output(loop.topic(Topic.ROLLOUTS), b"r1:3", b"\x00broken", (("route", b"rtv"),))
    lost = Output(loop.topic(Topic.ROLLOUTS), b"r1:4", b"body", (("route", b"nowhere"),))
    confirm(loop.producer, [send(loop.producer, output) for output in (broken, lost)], 10)

    with loop.run("router") as router, loop.run("rtv") as rtv:
        scored = [decode(record.value, ScoredTrajectory) for record in loop.read(Topic.SCORED, 2)]
        letters = loop.read(Topic.DEAD_LETTERS, 2)
        for child in (router, rtv):
            child.send_signal(signal.SIGTERM)
        assert [child.wait(10) for child in (router, rtv)] == [0, 0]

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


def test_dead_letters_are_listed_put_back_and_counted(loop: Loop) -> None:
    lost = Output(loop.topic(Topic.ROLLOUTS), b"r1:4", b"body", (("route", b"nowhere"), ("mine", b"1")))
    confirm(loop.producer, [send(loop.producer, lost)], 10)
    with loop.run("router"):
        loop.read(Topic.DEAD_LETTERS, 1)
        with LogReader(loop.settings.broker, loop.bootstrap, [loop.topic(Topic.DEAD_LETTERS)]) as reader:
            letters = list_dead_letters(reader)
        assert replay(loop.producer, choose(letters, [letters[0].id]), 10) == 1
        first, second = loop.read(Topic.DEAD_LETTERS, 2)
    assert (first.value, second.value) == (b"body", b"body")
    assert header(second.headers, "mine") == "1"
    assert header(second.headers, "dead_letter.attempts") == "2"
    times = [header(record.headers, "dead_letter.first_failed_at") for record in (first, second)]
    assert times[0] == times[1]


def test_judged_rollouts_end_in_postgres_once(topic_settings: Settings, engine: Engine, tmp_path: Path) -> None:
    """GenRM with a real judge of twenty words, and the difficulty sink; one rollout is delivered twice."""
    url = engine.url.render_as_string(hide_password=False)
    tree = topic_settings.model_dump() | {
        "database": {"url": url},
        "genrm": {"model": str(save_tiny_judge(tmp_path / "judge")), "dtype": "float32"},
    }
    loop = Loop(Settings.model_validate(tree), tmp_path)
    question = {"prompt": "capital France", "verifier": None, "ground_truth": "Paris"}
    rollouts = [rollout(number, text, **question) for number, text in enumerate(("Paris", "Rome", "Paris sea"))]
    loop.publish([*rollouts, rollouts[0]])
    with loop.run("router"), loop.run("genrm"), loop.run("difficulty") as difficulty:
        scored = [decode(record.value, ScoredTrajectory) for record in loop.read(Topic.SCORED, 4)]
        wait_until(lambda: loop.committed("difficulty") == 4)
        difficulty.send_signal(signal.SIGTERM)
        assert difficulty.wait(10) == 0
    loop.close()

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


def test_a_replica_that_joins_and_one_that_is_killed_lose_nothing(loop: Loop) -> None:
    count = 300
    with loop.run("router", "-a") as first:
        loop.publish([rollout(number) for number in range(count // 3)])
        loop.read(Topic.RTV_REQUESTS, count // 3)
        with loop.run("router", "-b"):
            loop.publish([rollout(number) for number in range(count // 3, 2 * count // 3)])
            loop.read(Topic.RTV_REQUESTS, 2 * count // 3)
            first.kill()
            loop.publish([rollout(number) for number in range(2 * count // 3, count)])
            wait_until(lambda: loop.committed("router") == count)
    names = {decode(record.value, Rollout).rollout_id for record in loop.read(Topic.RTV_REQUESTS, count)}
    assert names == {f"r1:{number}/0" for number in range(count)}


def test_a_stage_without_its_topics_says_so_and_ends(loop: Loop) -> None:
    topics = loop.settings.topics.model_copy(update={"prefix": "nobody"})
    settings = loop.settings.model_copy(update={"topics": topics})
    log = loop.folder / "router.log"
    with running("streams.apps.router", settings, log) as router:
        assert router.wait(PATIENCE) == 1
    assert "no topic nobody.prompts" in log.read_text()
