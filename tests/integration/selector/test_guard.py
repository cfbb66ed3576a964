"""The guard in a selector between the real log and database: what an alarm says, what it changes, and what it outlives.

The judge of these runs has a weakness. From version 10 on the policy knows it: each response is credited, and the
second scorer, which reads the answers, passes ever fewer of them.
"""

import logging
import re
from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import Engine, select, update
from support.selector_loop import SelectorLoop, play, reach, rows

from infra.db.models import Evaluation, Group, GuardCheck
from infra.metrics import metrics
from streams.messages import PromptTicket, Purpose
from trainer.curriculum.runs import Phase
from trainer.curriculum.training import Training
from trainer.prompts.dataset import Defaults, parse_row
from trainer.prompts.ingest import ingest_rows

HELDOUT, HACKED_FROM, EVERY, STEPS = 16, 10, 6, 36
CHOSEN = {
    "preppo": {"enabled": False},
    "eval_every_versions": EVERY,
    "eval_at_end": False,
    "eval_samples": 2,
    "max_steps": STEPS,
}


@pytest.fixture
def prompts(engine: Engine) -> dict[str, str]:
    """Judged prompts of one domain, and verified ones of another; id -> domain."""
    made = [
        parse_row(
            {
                "domain": domain,
                "prompt": f"{domain} {number}?",
                "verifier": verifier,
                "ground_truth": "1",
                "split": "heldout" if number >= 4 else "train",
            },
            Defaults(),
        )
        for domain, verifier, heldout in (("mathematics", "exact", 2), ("knowledge", None, HELDOUT))
        for number in range(4 + heldout)
    ]
    ingest_rows(engine, made)
    return {row.id: row.domain for row in made}


def hacked_loop(make_loop: Callable[..., SelectorLoop], *, weak: bool = True, **guard: object) -> SelectorLoop:
    loop = make_loop(guard=guard, **CHOSEN)
    peer = loop.peer

    def exploits(ticket: PromptTicket) -> bool:
        return weak and ticket.domain == "knowledge" and peer.version >= HACKED_FROM

    def answers_right(ticket: PromptTicket, sample: int) -> bool:
        return (ticket.seq + sample) % 2 == 0

    peer.score_of = lambda ticket, sample: 0.9 if exploits(ticket) or answers_right(ticket, sample) else 0.1
    peer.second_of = lambda ticket, sample: float(answers_right(ticket, sample) and not exploits(ticket))
    peer.start_lineage()
    return loop


def checks(engine: Engine, loop: SelectorLoop) -> list:
    query = select(GuardCheck.__table__).where(GuardCheck.run_id == loop.run_id)
    return rows(engine, query.order_by(GuardCheck.version, GuardCheck.domain))


def alarms(engine: Engine, loop: SelectorLoop) -> list[tuple[str, int]]:
    return [(row.domain, row.version) for row in checks(engine, loop) if row.alarm]


@pytest.mark.parametrize("restart", [False, True])
def test_an_alarm_names_the_version_and_the_run_goes_on(make_loop, engine, prompts, caplog, restart) -> None:
    loop = hacked_loop(make_loop)
    with caplog.at_level(logging.ERROR):
        assert play(loop, restart=restart) == list(Phase)
    found = alarms(engine, loop)
    assert found
    assert {domain for domain, _ in found} == {"knowledge"}
    first = min(version for _, version in found)
    assert first >= HACKED_FROM
    assert f"reward hacking is suspected at version {first} (route genrm, domain knowledge)" in caplog.text
    assert "selector.guard.action = warn" in caplog.text
    assert loop.peer.version == STEPS
    labels = ("genrm", "knowledge")
    assert metrics.guard_alarm.labels(*labels)._value.get() == 1
    assert metrics.guard_alarm_version.labels(*labels)._value.get() == first
    assert metrics.guard_alarm.labels("rtv", "mathematics")._value.get() == 0


def test_each_evaluation_is_tested_once_with_its_numbers(make_loop, engine, prompts) -> None:
    loop = hacked_loop(make_loop, weak=False)
    play(loop)
    found = checks(engine, loop)
    labels = ["before", *(f"v{version}" for version in range(EVERY, STEPS, EVERY))]
    assert Counter((row.label, row.domain) for row in found) == {
        (label, domain): 1 for label in labels for domain in ("knowledge", "mathematics")
    }
    assert alarms(engine, loop) == []
    first = next(row for row in found if (row.label, row.domain) == ("before", "knowledge"))
    assert (first.route, first.prompts, first.credited, first.confirmed) == ("genrm", HELDOUT, 0.5, 0.5)
    assert (first.z, first.since_label) == (None, None)
    assert first.scorers == "math@1 and second@1"
    later = next(row for row in found if (row.label, row.domain) == ("v12", "knowledge"))
    assert (later.since_version, later.reward_change, later.true_change) == (0, 0.0, 0.0)
    assert later.z_limit > later.z
    assert later.reward == pytest.approx(0.5)


def test_stop_ends_training_with_its_reason(make_loop, engine, prompts, caplog) -> None:
    loop = hacked_loop(make_loop, action="stop")
    with caplog.at_level(logging.ERROR):
        assert play(loop)[-1] is Phase.FINISHED
    [(_, version)] = alarms(engine, loop)
    assert loop.peer.version < STEPS
    assert re.search(rf"training ends at version \d+: reward hacking is suspected at version {version} ", caplog.text)


def test_reweight_lowers_the_domain_s_share_of_dispatch_also_after_a_restart(make_loop, engine, prompts) -> None:
    loop = hacked_loop(make_loop, action="reweight", factor=0)
    context, phases = reach(loop, Phase.TRAIN)
    while phases.phase is Phase.TRAIN:
        loop.round(context, phases)
        loop.peer.work()
    query = select(Group.prompt_id).where(Group.run_id == loop.run_id, Group.purpose == Purpose.TRAIN)
    order = [prompts[row.prompt_id] for row in rows(engine, query.order_by(Group.seq))]
    assert set(order[:4]) == {"knowledge", "mathematics"}
    assert set(order[-2:]) == {"mathematics"}
    before = phases._training._schedule
    assert before.factors == {"knowledge": 0}
    again = Training(loop.resume()[0])
    with engine.begin() as connection:
        alarmed = again.guard.look(connection)
        after = again._current_schedule(connection, alarmed)
    assert (after.factors, after._owed, after.groups) == (before.factors, before._owed, len(order))
    assert alarmed  # `stop` asks for no more than this


def test_an_evaluation_waits_for_its_second_scores(make_loop, engine, prompts) -> None:
    loop = hacked_loop(make_loop, wait_seconds=3600)
    loop.settings = loop.settings.model_copy(
        update={"crosscheck": loop.settings.crosscheck.model_copy(update={"scorers": {"genrm": "second"}})}
    )
    loop.peer.second_of = None
    context, phases = reach(loop, Phase.TRAIN)
    for _ in range(4):
        loop.round(context, phases)
        loop.peer.work()
    with engine.connect() as connection:
        assert context.settings.crosscheck.scorers
        assert phases._training.guard._check_next(connection) is False
    assert checks(engine, loop) == []
    with engine.begin() as connection:
        connection.execute(update(Evaluation).values(created_at=Evaluation.created_at - timedelta(hours=2)))
        assert phases._training.guard._check_next(connection)
    assert {row.label for row in checks(engine, loop)} == {"before"}


def test_an_alarm_of_a_version_that_was_taken_back_does_not_count(make_loop, engine, prompts) -> None:
    loop = hacked_loop(make_loop)
    context, phases = reach(loop, Phase.TRAIN)
    while not alarms(engine, loop):
        assert phases.phase is Phase.TRAIN
        loop.round(context, phases)
        loop.peer.work()
    loop.peer.receive()
    taken_back = {ticket.seq: ticket for ticket in loop.peer.read if ticket.seq in loop.peer.closed}
    loop.peer.lineage += 1
    loop.peer.start_lineage(version=0, ordinal=0, reopened=taken_back)
    loop.round(context, phases)
    loop.round(context, phases)
    found = checks(engine, loop)
    assert {row.label for row in found if row.alarm} == {f"v{row.version}@1" for row in found if row.alarm}
    with engine.connect() as connection:
        assert phases._training.guard.look(connection) == ()
