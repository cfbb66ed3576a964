"""A run's phases against the real broker and database: what is dispatched, what is written, what survives a restart."""

import logging
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from infra.db.models import Evaluation, Group, Prompt, Run, Selection
from infra.settings.tree import TopicSettings
from streams.clients import DeliveryError
from streams.messages import Outcome, Purpose
from trainer.audit import audit_or_stored, audit_run, save
from trainer.curriculum import runs
from trainer.curriculum.dispatch import Dispatcher
from trainer.curriculum.runs import Phase
from trainer.curriculum.schedule import NoPromptsError
from trainer.curriculum.session import AnotherSelectorError, Session
from trainer.curriculum.stall import StallAlarm

MAX_ROUNDS = 200
"""No run here needs a third of them: an endless loop ends as a failure."""


def play(loop, *, restart=False):
    """The run to its end; the selector is killed and started again after every round if `restart`."""
    context, phases = loop.start()
    seen = [phases.phase]
    for _ in range(MAX_ROUNDS):
        finished = loop.round(context, phases)
        loop.peer.work()
        if phases.phase is Phase.DRAIN:
            loop.peer.finish_short()
        if restart:
            context, phases = loop.start()
        if phases.phase is not seen[-1]:
            seen.append(phases.phase)
        if finished:
            return seen
    raise AssertionError(f"the run stands in {phases.phase}")


def reach(loop, phase):
    """A selector in `phase`, before its first round there."""
    context, phases = loop.start()
    for _ in range(MAX_ROUNDS):
        if phases.phase is phase:
            return context, phases
        loop.round(context, phases)
        loop.peer.work()
    raise AssertionError(f"the run stands in {phases.phase}")


def rows(engine, query):
    with engine.connect() as connection:
        return connection.execute(query).all()


@pytest.mark.parametrize("restart", [False, True])
def test_a_run_from_start_to_end(make_loop, engine, prompts, restart):
    loop = make_loop()
    loop.peer.score_of = lambda ticket, _: int(prompts[ticket.prompt_id].split()[1][0]) / 10
    loop.peer.start_lineage()
    assert play(loop, restart=restart) == list(Phase)

    groups = loop.groups()
    assert [group.seq for group in groups] == list(range(len(groups)))
    assert all(group.confirmed and group.outcome for group in groups)
    labels = Counter((group.purpose, group.label) for group in groups)
    assert labels == {("eval", "before"): 4, ("assess", "preppo"): 8, ("train", ""): 6, ("eval", "after"): 4}
    assert loop.peer.version == 3
    assert loop.peer.most_open <= 4

    results = rows(engine, select(Evaluation.label, Evaluation.domain, Evaluation.version, Evaluation.samples))
    assert {(label, domain, samples) for label, domain, _, samples in results} == {
        (label, domain, samples)
        for label in ("before", "after")
        for domain, samples in (("mathematics", 4), ("knowledge", 4), ("overall", 8))
    }
    assert {(label, version) for label, _, version, _ in results} == {("before", 0), ("after", 3)}
    chosen = rows(engine, select(Selection.prompt_id, Selection.why).where(Selection.selected))
    assert sorted(prompts[row.prompt_id] for row in chosen) == [
        f"{domain} {number}?" for domain in ("knowledge", "mathematics") for number in (0, 1, 2, 3)
    ]
    trained = {prompts[group.prompt_id] for group in groups if group.purpose == Purpose.TRAIN}
    assert trained <= {prompts[row.prompt_id] for row in chosen}
    (run,) = rows(engine, select(Run.phase, Run.finished_at, Run.settings))
    assert run.phase == "finished"
    assert run.finished_at is not None
    assert "url" not in run.settings["database"]

    report = audit_run(loop.settings, loop.bootstrap, engine)
    assert report.violations == []
    assert report.finished
    assert report.groups == {"eval": {"filtered": 8}, "assess": {"filtered": 8}, "train": {"trained": 6}}
    assert report.counts["verdicts"] == report.counts["score_rows"] == 8 * 2 + 8 * 3 + 6 * 2


def test_an_audit_is_stored_and_postgres_is_checked_again(make_loop, engine, prompts, tmp_path):
    loop = make_loop(eval_at_start=False)
    loop.peer.start_lineage()
    play(loop)
    gone = loop.settings.model_copy(update={"topics": TopicSettings(prefix="of-another-run")})
    with pytest.raises(LookupError):
        audit_or_stored(gone, loop.bootstrap, engine, tmp_path)
    save(audit_run(loop.settings, loop.bootstrap, engine), tmp_path)
    stored = audit_or_stored(gone, loop.bootstrap, engine, tmp_path)
    assert stored.sound
    assert "Postgres was checked again" in stored.source
    with engine.begin() as connection:
        connection.execute(update(Group).where(Group.purpose == "train", Group.seq > 0).values(outcome=None))
    assert [(v.kind, v.group) for v in audit_or_stored(gone, loop.bootstrap, engine, tmp_path).violations] == [
        ("database_changed", loop.settings.run.id)
    ]


def test_tickets_carry_the_question_and_the_domain_s_sampling(make_loop, prompts):
    loop = make_loop(eval_at_start=False, preppo={"enabled": False})
    loop.round(*reach(loop, Phase.TRAIN))
    loop.peer.receive()
    ticket = min(loop.peer.read, key=lambda ticket: ticket.seq)
    assert (ticket.purpose, ticket.samples, ticket.group_id) == (Purpose.TRAIN, 2, f"{ticket.run_id}:0")
    assert ticket.question.prompt == prompts[ticket.prompt_id] == ticket.messages[-1]["content"]
    assert ticket.deadline - ticket.dispatched_at == pytest.approx(300)
    assert len({other.sampling.seed for other in loop.peer.read}) == len(loop.peer.read) == 4


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
    loop.round(*loop.start())
    loop.peer.receive()
    assert [ticket.seq for ticket in sorted(loop.peer.read, key=lambda ticket: ticket.seq)] == [0, 1, 2, 3]
    assert all(group.confirmed for group in loop.groups())


def test_a_crash_after_delivery_produces_the_same_bytes_again(make_loop, engine, prompts):
    loop = make_loop(eval_at_start=False, preppo={"enabled": False})
    loop.round(*reach(loop, Phase.TRAIN))
    with engine.begin() as connection:
        connection.execute(update(Group).where(Group.seq >= 2).values(confirmed=False))
    loop.round(*loop.start())
    loop.peer.receive()
    by_seq = {seq: [t for t in loop.peer.read if t.seq == seq] for seq in range(4)}
    assert [len(tickets) for tickets in by_seq.values()] == [1, 1, 2, 2]
    assert by_seq[3][0] == by_seq[3][1]


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
    for selector in (loop.round(context, phases), loop.round(*loop.start())):
        assert not selector
    still_open = {group.seq for group in loop.groups(outcome=None)}
    assert still_open == held | set(taken_back)
    assert len(still_open) > 4  # more than the slots: nothing is dispatched until they are worked off
    loop.peer.work()
    context, phases = loop.start()
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


def test_evaluations_and_selections_beside_training(make_loop, engine, prompts):
    loop = make_loop(eval_every_versions=2, max_steps=4, preppo={"samples": 3, "keep_share": 0.5, "every_versions": 2})
    loop.peer.start_lineage()
    play(loop)
    results = rows(engine, select(Evaluation.label, Evaluation.version).where(Evaluation.domain == "overall"))
    assert set(results) == {("before", 0), ("v2", 2), ("after", 4)}
    rounds = rows(engine, select(Selection.round, Selection.version).distinct())
    assert set(rounds) == {(0, 0), (1, 2)}
    later = rows(engine, select(Selection.why).where(Selection.round == 1, Selection.normalised.is_not(None)))
    assert all("scores, decayed" in row.why for row in later)


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
    assert dispatched["v2@1", 1] == dispatched["v2", 2] == 4
    assert {row.label for row in rows(engine, select(Evaluation.label))} >= {"v2@1", "v2"}


def test_synchronous_training_waits_for_the_weights_of_the_step_before(make_loop, engine, prompts):
    loop = make_loop(admission={"staleness": 0, "groups_per_step": 2, "window_share": 0.5}, eval_every_versions=1)
    loop.peer.start_lineage()
    assert play(loop) == list(Phase)
    assert loop.peer.most_open == 2
    loop.peer.receive()
    wanted = {ticket.seq: ticket.min_version for ticket in loop.peer.read if ticket.purpose is Purpose.TRAIN}
    assert [version for _, version in sorted(wanted.items())] == [0, 0, 1, 1, 2, 2]
    assert {row.label for row in rows(engine, select(Evaluation.label))} == {"before", "v1", "v2", "after"}


def test_a_verdict_that_never_reaches_the_database_is_given_up_in_time(make_loop, engine, prompts, caplog):
    loop = make_loop()
    loop.peer.start_lineage()
    context, phases = loop.start()
    loop.round(context, phases)
    loop.peer.receive()
    set_aside = min(loop.peer.open.values(), key=lambda ticket: ticket.seq)
    loop.peer.close(set_aside, Outcome.FILTERED, "measured")  # scored for the learner; its rows are dead letters
    for _ in range(4):
        loop.peer.work()
        loop.round(context, phases)
    assert phases.phase is Phase.EVAL_BEFORE
    long_ago = datetime.now(UTC) - timedelta(minutes=5)
    with engine.begin() as connection:
        connection.execute(
            update(Group).where(Group.seq == set_aside.seq).values(closed_at=long_ago, deadline=long_ago)
        )
    loop.round(context, phases)
    assert phases.phase is Phase.PREPPO
    assert "evaluation before lacks verdicts of 1 groups" in caplog.text


def test_an_evaluation_that_lost_groups_says_so(make_loop, engine, prompts, caplog):
    loop = make_loop()
    loop.peer.start_lineage()
    context, phases = loop.start()
    loop.round(context, phases)
    loop.peer.receive()
    loop.peer.close(min(loop.peer.open.values(), key=lambda ticket: ticket.seq), Outcome.EXPIRED, "deadline")
    play(loop)
    assert "evaluation before lacks 1 expired" in caplog.text
    results = rows(
        engine, select(Evaluation.prompts).where(Evaluation.label == "before", Evaluation.domain == "overall")
    )
    assert [row.prompts for row in results] == [3]
    assert audit_run(loop.settings, loop.bootstrap, engine).sound


def test_training_ends_after_its_time(make_loop, engine, prompts):
    loop = make_loop(eval_at_start=False, eval_at_end=False, max_steps=0, max_train_seconds=3600)
    loop.peer.start_lineage()
    context, phases = reach(loop, Phase.TRAIN)
    loop.round(context, phases)
    assert phases.phase is Phase.TRAIN
    with engine.begin() as connection:
        connection.execute(update(Run).values(train_started_at=datetime.now(UTC) - timedelta(hours=1)))
    before = len(loop.groups())
    loop.round(context, phases)
    assert (phases.phase, len(loop.groups())) == (Phase.DRAIN, before)


def test_quarantined_and_unscorable_prompts_are_not_dispatched(make_loop, engine, prompts, caplog):
    with engine.begin() as connection:
        ids = connection.scalars(select(Prompt.id).where(Prompt.domain == "knowledge")).all()
        connection.execute(update(Prompt).where(Prompt.id.in_(ids)).values(question={"prompt": "Write."}))
        ids = connection.scalars(select(Prompt.id).where(Prompt.origin == "original")).all()
        connection.execute(update(Prompt).where(Prompt.id.in_(ids)).values(quarantined="wrong key"))
    loop = make_loop()
    loop.peer.start_lineage()
    with caplog.at_level(logging.WARNING):
        play(loop)
    assert "8 prompts are left out" in caplog.text
    texts = {prompts[group.prompt_id] for group in loop.groups()}
    assert texts <= {f"mathematics {number}?" for number in range(2, 8)}


def test_no_prompts_is_said(make_loop, engine):
    loop = make_loop()
    with pytest.raises(NoPromptsError, match="prompts ingest"):
        play(loop)


def test_a_second_selector_is_refused(make_loop, engine, prompts):
    loop = make_loop()
    loop.start()
    with pytest.raises(AnotherSelectorError, match=f"another selector of run '{loop.settings.run.id}'"):
        Session(engine, loop.settings.run.id, wait_seconds=0.2)
    loop.kill()
    Session(engine, loop.settings.run.id, wait_seconds=5).close()


def test_standing_still_is_said_loudly(make_loop, engine, prompts, caplog):
    loop = make_loop()
    context, phases = loop.start()
    loop.round(context, phases)
    alarm = StallAlarm(context.run_id)
    late = update(Group).values(deadline=datetime.now(UTC) - timedelta(minutes=5))
    with context.session.transaction() as connection:
        alarm._progress_at -= 120
        assert not alarm.check(connection, phases.waits_for)  # within its deadline
        connection.execute(late)
        assert alarm.check(connection, phases.waits_for)
        assert not alarm.check(connection, phases.waits_for)  # not on every round
        connection.execute(update(Group).values(outcome="filtered", closed_at=datetime.now(UTC)))
        alarm._said_at = float("-inf")
        assert alarm.check(connection, phases.waits_for)
    assert f"{context.run_id}:0 for 300 s past its deadline: the learner closes groups" in caplog.text
    assert "before: every group is closed, and 4 wait for verdicts" in caplog.text


def test_phases_are_kept_in_the_database(make_loop, engine, prompts):
    loop = make_loop(eval_at_start=False)
    context, phases = loop.start()
    loop.round(context, phases)
    assert phases.phase is Phase.PREPPO
    with engine.connect() as connection:
        assert runs.read_run(connection, loop.settings.run.id).phase is Phase.PREPPO


def test_a_closing_tells_its_version_before_the_announcement_is_read(make_loop, prompts):
    loop = make_loop()
    context, phases = loop.start()
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
