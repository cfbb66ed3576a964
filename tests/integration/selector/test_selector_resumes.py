"""What survives a selector's crash, and what follows where the learner took versions back."""

import hashlib
from collections import Counter
from dataclasses import replace

import pytest
from sqlalchemy import select, update
from support.selector_loop import play, reach, rows

from infra.db.models import Evaluation, Group
from infra.metrics import metrics
from infra.report.collect import collect
from infra.report.shares import domain_shares
from streams.clients import DeliveryError
from streams.messages import Outcome, Purpose
from trainer.audit.audit import audit_run
from trainer.curriculum import runs
from trainer.curriculum.dispatch import Dispatcher
from trainer.curriculum.learner_watch import LearnerWatch
from trainer.curriculum.runs import Phase
from trainer.curriculum.watch_position import read_position


class DyingDispatcher(Dispatcher):
    """Loses its broker between the commit and the delivery."""

    def _produce(self, tickets):
        raise DeliveryError("the broker is gone")


def test_a_crash_between_commit_and_delivery_loses_and_doubles_nothing(make_loop, prompts):
    loop = make_loop(eval_at_start=False, preppo={"enabled": False})
    context, phases = reach(loop, Phase.TRAIN)
    context.dispatcher.__class__ = DyingDispatcher
    with pytest.raises(DeliveryError):
        loop.round(context, phases)
    assert [group.confirmed for group in loop.groups()] == [False] * 4
    loop.round(*loop.resume())
    loop.peer.receive()
    assert [ticket.seq for ticket in sorted(loop.peer.read, key=lambda ticket: ticket.seq)] == [0, 1, 2, 3]
    assert all(group.confirmed for group in loop.groups())


def test_a_crash_after_delivery_produces_the_same_bytes_again(make_loop, engine, prompts):
    loop = make_loop(eval_at_start=False, preppo={"enabled": False})
    loop.round(*reach(loop, Phase.TRAIN))
    with engine.begin() as connection:
        connection.execute(update(Group).where(Group.seq >= 2).values(confirmed=False))
    loop.round(*loop.resume())
    loop.peer.receive()
    by_seq = {seq: [t for t in loop.peer.read if t.seq == seq] for seq in range(4)}
    assert [len(tickets) for tickets in by_seq.values()] == [1, 1, 2, 2]
    assert by_seq[3][0] == by_seq[3][1]


def test_phases_are_kept_in_the_database(make_loop, engine, prompts):
    loop = make_loop(eval_at_start=False)
    context, phases = loop.resume()
    loop.round(context, phases)
    assert phases.phase is Phase.PREPPO
    with engine.connect() as connection:
        assert runs.read_run(connection, loop.settings.run.id).phase is Phase.PREPPO


@pytest.mark.parametrize("share", [1.5, [[0, 4.0], [6, 1.0]]])
def test_restarts_change_no_pick(make_loop, prompts, share):
    """A selector that is killed after every round dispatches the prompts of one that lives through the run."""
    chosen = {"eval_at_start": False, "eval_at_end": False, "preppo": {"enabled": False}, "max_steps": 8}
    picks = []
    for restart in (False, True):
        loop = make_loop(domain_shares={"mathematics": share}, **chosen)
        loop.peer.start_lineage()
        play(loop, restart=restart)
        picks.append([group.prompt_id for group in loop.groups(purpose="train")])
    assert len(picks[0]) == 16
    assert picks[0] == picks[1]


def test_shares_asked_for_and_trained_are_exported_side_by_side(make_loop, engine, prompts, tmp_path):
    loop = make_loop(domain_shares={"mathematics": [[0, 3.0], [6, 1.0]]}, preppo={"enabled": False}, max_steps=7)
    loop.peer.start_lineage()
    play(loop)
    shown = {
        (kind, domain): metrics.domain_share.labels(kind, domain)._value.get()
        for kind in ("asked", "trained")
        for domain in ("mathematics", "knowledge")
    }
    assert shown["asked", "mathematics"] == shown["asked", "knowledge"] == 0.5
    trained = Counter(prompts[group.prompt_id].split()[0] for group in loop.groups(outcome="trained"))
    assert loop.peer.version == 7
    assert shown["trained", "mathematics"] == pytest.approx(trained["mathematics"] / trained.total(), abs=0.1)
    assert shown["trained", "mathematics"] + shown["trained", "knowledge"] == pytest.approx(1)
    record = collect(engine, loop.settings, tmp_path)
    found = domain_shares(record.groups, record.domain_shares)
    assert {domain: row["trained_groups"] for domain, row in found.items()} == trained
    assert found["mathematics"]["asked"] > 0.5
    assert (
        abs(found["mathematics"]["dispatched"] - found["mathematics"]["asked"]) * len(loop.groups(purpose="train")) <= 1
    )


def test_a_learner_that_resumes_reopens_what_it_took_back(make_loop, prompts):
    loop = make_loop(eval_at_start=False, preppo={"enabled": False}, max_steps=0)
    loop.peer.start_lineage()
    context, phases = reach(loop, Phase.TRAIN)
    for _ in range(2):
        loop.round(context, phases)
        loop.peer.work()
    loop.round(context, phases)
    loop.round(context, phases)
    loop.peer.receive()
    taken_back = {ticket.seq: ticket for ticket in loop.peer.read if ticket.seq >= 2 and ticket.seq in loop.peer.closed}
    held = set(loop.peer.open)
    loop.peer.lineage += 1
    loop.peer.start_lineage(version=1, ordinal=2, reopened=taken_back)
    for selector in (loop.round(context, phases), loop.round(*loop.resume())):
        assert not selector
    still_open = {group.seq for group in loop.groups(outcome=None)}
    assert still_open == held | set(taken_back)
    assert len(still_open) > 4  # more than the slots: nothing is dispatched until they are worked off
    loop.peer.work()
    context, phases = loop.resume()
    loop.round(context, phases)
    assert len(loop.groups(outcome=None)) == 4
    assert {group.closed_lineage for group in loop.groups() if group.outcome} == {1, 2}


def test_an_evaluation_of_a_version_that_was_taken_back_is_repeated(make_loop, engine, prompts):
    loop = make_loop(eval_at_start=False)
    loop.peer.start_lineage()
    loop.round(*reach(loop, Phase.EVAL_AFTER))
    trained = {t.seq: t for t in loop.peer.read if t.purpose is Purpose.TRAIN}
    first_trained = min(group.closed_ordinal for group in loop.groups(purpose="train"))
    loop.peer.receive()
    loop.peer.lineage += 1
    loop.peer.start_lineage(version=0, ordinal=first_trained, reopened=trained)
    assert play(loop)[-3:] == [Phase.DRAIN, Phase.EVAL_AFTER, Phase.FINISHED]
    labels = Counter(group.label for group in loop.groups(purpose="eval"))
    assert labels == {"after@1": 4, "after": 4}
    assert {group.dispatched_lineage for group in loop.groups(label="after")} == {2}
    assert {row.label for row in rows(engine, select(Evaluation.label))} == {"after"}
    report = audit_run(loop.settings, loop.bootstrap, engine)
    assert report.violations == []
    assert report.counts["closings_taken_back"] > 0


def test_an_evaluation_beside_training_whose_version_was_taken_back_is_repeated(make_loop, engine, prompts):
    chosen = {"eval_at_start": False, "eval_at_end": False, "preppo": {"enabled": False}}
    loop = make_loop(eval_every_versions=2, max_steps=8, **chosen)
    loop.peer.start_lineage()
    context, phases = reach(loop, Phase.TRAIN)
    while not rows(engine, select(Evaluation.label).where(Evaluation.label == "v2")):
        assert phases.phase is Phase.TRAIN
        loop.round(context, phases)
        loop.peer.work()
    loop.peer.receive()
    taken_back = {ticket.seq: ticket for ticket in loop.peer.read if ticket.seq in loop.peer.closed}
    loop.peer.lineage += 1
    loop.peer.start_lineage(version=0, ordinal=0, reopened=taken_back)
    again = [ticket for seq, ticket in sorted(taken_back.items()) if ticket.purpose is Purpose.TRAIN]
    loop.peer.train(again[:2])
    loop.peer.train(again[2:4])
    play(loop)
    dispatched = Counter((g.label, g.dispatched_lineage) for g in loop.groups(purpose="eval"))
    again = {label for label, lineage in dispatched if lineage == 2}  # later than v2 if it is read late
    assert again <= {"v2", "v4", "v6", "v8"}
    assert again
    assert dispatched["v2@1", 1] == 4
    assert {dispatched[label, 2] for label in again} == {4}
    assert {row.label for row in rows(engine, select(Evaluation.label))} >= {"v2@1", *again}


def test_a_closing_tells_its_version_before_the_announcement_is_read(make_loop, prompts):
    loop = make_loop()
    context, phases = loop.resume()
    loop.round(context, phases)
    loop.peer.receive()
    loop.peer.version = 2
    loop.peer.close(next(iter(loop.peer.open.values())), Outcome.FILTERED, "measured")
    context.watch.catch_up()
    assert (context.watch.lineage, context.watch.version) == (1, 2)
    loop.peer.lineage = 2
    loop.peer.start_lineage(version=1)
    context.watch.catch_up()
    assert (context.watch.lineage, context.watch.version) == (2, 1)


def test_a_selector_reads_on_from_where_the_one_before_came(make_loop, prompts):
    loop = make_loop(eval_at_start=False, preppo={"enabled": False})
    loop.peer.start_lineage()
    context, phases = reach(loop, Phase.TRAIN)
    loop.round(context, phases)
    loop.peer.work()
    loop.round(context, phases)
    seen = (context.watch.lineage, context.watch.version, dict(context.watch.offsets), context.lineages.starts)
    assert seen[1] > 0
    context, _ = loop.resume()
    assert (context.watch.lineage, context.watch.version, context.watch.offsets, context.lineages.starts) == seen
    loop.resume()
    with loop.engine.begin() as connection:
        position = read_position(connection, loop.settings.run.id)
    watch = LearnerWatch.open(loop.settings, loop.bootstrap, position)
    assert watch.catch_up() == []
    watch.reader.close()


@pytest.mark.parametrize("logged", [True, False])
def test_the_ticket_of_a_group_that_is_open_again_comes_from_the_log_or_is_replaced(make_loop, engine, prompts, logged):
    loop = make_loop(eval_at_start=False, preppo={"enabled": False})
    context, phases = reach(loop, Phase.TRAIN)
    loop.round(context, phases)
    loop.peer.receive()
    first = loop.peer.read[0]
    with engine.begin() as connection:
        connection.execute(update(Group).where(Group.seq == first.seq).values(ticket=None, confirmed=False))
        if not logged:  # a log without the ticket: one of another run's topics
            connection.execute(update(Group).where(Group.seq == first.seq).values(seq=999, group_id="run:999"))
    assert context.dispatcher.recover() == 1
    loop.peer.receive()
    again = loop.peer.read[-1]
    if logged:
        assert again == first
    else:
        [row] = loop.groups(seq=999)
        assert (again.seq, again.messages, again.deadline) == (999, (), row.deadline.timestamp())
        assert row.ticket_digest == hashlib.sha256(row.ticket).digest()


def test_a_log_that_lost_the_position_is_read_from_its_beginning(make_loop, caplog, prompts):
    loop = make_loop(eval_at_start=False, preppo={"enabled": False})
    loop.peer.start_lineage()
    reach(loop, Phase.TRAIN)
    with loop.engine.begin() as connection:
        position = read_position(connection, loop.settings.run.id)
    lost = replace(position, offsets={partition: at + 1000 for partition, at in position.offsets.items()})
    watch = LearnerWatch.open(loop.settings, loop.bootstrap, lost)
    assert [claim.lineage for claim in watch.catch_up()] == [1]
    assert watch.lineage == 1
    assert "reads it from its beginning" in caplog.text
    watch.reader.close()
