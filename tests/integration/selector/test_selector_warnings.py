"""What a selector that cannot go on as it should says, and whether it goes on."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update
from support.selector_loop import play, rows

from infra.db.models import Evaluation, Group
from streams.messages import Outcome
from trainer.audit.audit import audit_run
from trainer.curriculum.rules.registry import SelectionRuleError
from trainer.curriculum.runs import Phase
from trainer.curriculum.schedule import NoPromptsError
from trainer.curriculum.selector_lock import AnotherSelectorError, SelectorSession
from trainer.curriculum.stall import StallAlarm


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
