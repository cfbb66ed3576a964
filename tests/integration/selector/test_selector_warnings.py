"""What a selector that cannot go on as it should says, and whether it goes on."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select, update
from support.selector_loop import play, reach, rows

from infra.db.models import Evaluation, Group, Prompt
from streams.messages import Outcome
from trainer.audit.audit import audit_run
from trainer.curriculum.rules.registry import SelectionRuleError
from trainer.curriculum.runs import Phase
from trainer.curriculum.schedule import NoPromptsError
from trainer.curriculum.selector_lock import AnotherSelectorError, SelectorSession
from trainer.curriculum.stall import GRACE_SECONDS, StallAlarm


def test_no_prompts_is_said(make_loop, engine):
    loop = make_loop()
    with pytest.raises(NoPromptsError, match="prompts ingest"):
        play(loop)


def test_a_rule_that_does_not_exist_is_said_before_anything_is_measured(make_loop, engine, prompts):
    loop = make_loop(preppo={"rule": "hardest"})
    with pytest.raises(SelectionRuleError, match="unknown selection rule 'hardest'; installed are: "):
        loop.resume()
    assert loop.groups() == []


def test_a_second_selector_is_refused(make_loop, engine, prompts):
    loop = make_loop()
    loop.resume()
    with pytest.raises(AnotherSelectorError, match=f"another selector of run '{loop.settings.run.id}'"):
        SelectorSession(engine, loop.settings.run.id, wait_seconds=0.2)
    loop.kill()
    SelectorSession(engine, loop.settings.run.id, wait_seconds=5).close()


def test_a_verdict_that_never_reaches_the_database_is_given_up_in_time(make_loop, engine, prompts, caplog):
    loop = make_loop()
    loop.peer.start_lineage()
    context, phases = loop.resume()
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
    context, phases = loop.resume()
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


def test_a_prompt_that_no_record_holds_costs_its_own_group_alone(make_loop, engine, prompts, caplog):
    loop = make_loop(eval_at_start=False, preppo={"enabled": False})
    large = max(prompts)
    with engine.begin() as connection:
        options = func.jsonb_build_object("cases", func.repeat("1 + 1 = 2; ", 10_000))
        question = Prompt.question.op("||")(func.jsonb_build_object("options", options))
        connection.execute(update(Prompt).where(Prompt.id == large).values(question=question))
        connection.execute(update(Prompt).where(Prompt.id != large).values(quarantined="not in this test"))
    small = loop.settings.broker.model_copy(update={"max_message_bytes": 50_000})
    loop.settings = loop.settings.model_copy(update={"broker": small})
    loop.round(*reach(loop, Phase.TRAIN))
    loop.peer.receive()
    tickets = loop.peer.read
    assert {ticket.prompt_id for ticket in tickets} == {large}
    assert all(ticket.messages == () for ticket in tickets)
    assert [group.confirmed for group in loop.groups()] == [True] * len(tickets)
    with engine.connect() as connection:
        why = connection.scalar(select(Prompt.quarantined).where(Prompt.id == large))
    assert "more than broker.max_message_bytes (50000)" in why
    assert f"prompt {large} is quarantined" in caplog.text


def test_the_tickets_of_groups_that_are_long_overdue_are_produced_again(make_loop, engine, prompts):
    """The learner expires a group that it hears of only now; the first ticket may be gone from the log."""
    loop = make_loop(eval_at_start=False, preppo={"enabled": False})
    context, phases = reach(loop, Phase.TRAIN)
    loop.round(context, phases)
    loop.peer.receive()
    first = {ticket.seq: ticket for ticket in loop.peer.read}
    assert context.dispatcher.repeat_overdue(GRACE_SECONDS) == 0
    late = datetime.now(UTC) - timedelta(seconds=GRACE_SECONDS + 1)
    with engine.begin() as connection:
        connection.execute(update(Group).where(Group.seq == min(first)).values(deadline=late))
    assert context.dispatcher.repeat_overdue(GRACE_SECONDS) == 1
    loop.peer.receive()
    assert loop.peer.read[len(first) :] == [first[min(first)]]


def test_standing_still_is_said_loudly(make_loop, engine, prompts, caplog):
    loop = make_loop()
    context, phases = loop.resume()
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
        alarm._logged_at = float("-inf")
        assert alarm.check(connection, phases.waits_for)
    assert f"{context.run_id}:0 is 300 s past its deadline: check that the learner" in caplog.text
    assert "the database has 0 of 2 verdicts (the last: none), so they are at the rollout worker" in caplog.text
    assert "before: all groups are closed, but 4 have lacked verdicts" in caplog.text
