"""No ticket ends a rollout worker, and a ticket that it cannot work on is answered by the verdict `infra_error`."""

import time

import pytest
from jinja2 import TemplateError
from support.hostile_messages import drawn, hostile_records
from support.messages import rollout
from support.rollout_loop import RolloutLoop, rollouts_of

from streams.codec import decode
from streams.dead_letters import parse
from streams.messages import ScoredTrajectory, Status
from streams.topics import Topic
from workers.rollout.worker import open_worker

HOSTILE = 120


def test_hostile_tickets_do_not_end_the_worker_and_the_good_ones_are_generated(loop: RolloutLoop, folders) -> None:
    loop.announce(folders[0], 1)
    model = loop.ticket(1, samples=1, new=2, deadline=time.time() + 600)
    loop.send_records(Topic.PROMPTS, drawn(hostile_records(model, "prompts", [rollout(0, 0)]), HOSTILE))
    good = [loop.ticket(seq, samples=2, new=2) for seq in range(10**6, 10**6 + 4)]
    loop.send(*good)
    names = {f"{each.group_id}/{index}" for each in good for index in range(2)}
    with loop.reader(Topic.ROLLOUTS) as reader, open_worker(loop.settings, loop.bootstrap) as worker:
        loop.read_until(reader, lambda got: names <= set(rollouts_of(got)), "the good rollouts", worker.turn)
        with loop.reader(Topic.DEAD_LETTERS) as letters:
            dead = loop.read_until(letters, lambda got: len(got) >= HOSTILE // 4, "dead letters", worker.turn)
    assert all(parse(record).stage == "rollout" for record in dead)


@pytest.mark.parametrize(
    ("turns", "why"),
    [
        (({"role": "system", "content": "no such role in some templates"},), "TemplateError: no system role"),
        (({"role": "user", "content": "x" * 300},), "max_model_tokens"),
    ],
)
def test_a_ticket_that_cannot_be_generated_fails_its_group_at_once(loop: RolloutLoop, folders, turns, why) -> None:
    loop.announce(folders[0], 1)
    loop.send(loop.ticket(3, messages=turns), loop.ticket(4))
    with loop.reader(Topic.SCORED) as reader, open_worker(loop.settings, loop.bootstrap) as worker:
        encode_chat = worker._engine.encode_chat

        def strict(messages):
            if messages[0]["role"] == "system":
                raise TemplateError("no system role")
            return encode_chat(messages)

        worker._engine.encode_chat = strict
        [record, *_] = loop.read_until(reader, bool, "a verdict", worker.turn)
    verdict = decode(record.value, ScoredTrajectory)
    assert (verdict.rollout.seq, verdict.status, verdict.score) == (3, Status.INFRA_ERROR, None)
    assert why in verdict.why


def test_a_rollout_that_no_record_holds_fails_its_group_and_the_worker_goes_on(loop: RolloutLoop, folders) -> None:
    broker = loop.settings.broker.model_copy(update={"max_message_bytes": 2000})
    loop.settings = loop.settings.model_copy(update={"broker": broker})
    loop.announce(folders[0], 1)
    loop.send(loop.ticket(0, samples=1, new=200), loop.ticket(1, samples=1, new=2))
    with (
        loop.reader(Topic.SCORED) as scored,
        loop.reader(Topic.ROLLOUTS) as reader,
        open_worker(loop.settings, loop.bootstrap) as worker,
    ):
        worker._engine.decode = lambda tokens: "x" * (10 * len(tokens))
        [record, *_] = loop.read_until(scored, bool, "a verdict", worker.turn)
        loop.read_until(reader, lambda got: f"{loop.run_id}:1/0" in rollouts_of(got), "a rollout", worker.turn)
    verdict = decode(record.value, ScoredTrajectory)
    assert (verdict.rollout.seq, verdict.status) == (0, Status.INFRA_ERROR)
    assert "cannot be published" in verdict.why
