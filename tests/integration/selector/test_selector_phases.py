"""A run's phases against the real broker and database: what is dispatched, what is written, when each ends."""

import logging
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update
from support.selector_loop import play, reach, rows

from infra.db.models import Evaluation, Group, Prompt, Run, Selection, SelectionRound
from infra.settings.evaluation import Skill
from infra.settings.tree import TopicSettings
from streams.messages import Purpose
from trainer.audit.audit import audit_or_stored, audit_run, save
from trainer.curriculum.decisions import explain_prompt
from trainer.curriculum.evaluation import prompt_scores
from trainer.curriculum.runs import Phase
from trainer.evaluation.results import compare, metrics_of, tabulate


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
    of_round = select(Prompt.id).join(Selection, Selection.prompt_number == Prompt.number)
    chosen = {row.id for row in rows(engine, of_round.where(Selection.selected))}
    assert sorted(prompts[prompt_id] for prompt_id in chosen) == [
        f"{domain} {number}?" for domain in ("knowledge", "mathematics") for number in (0, 1, 2, 3)
    ]
    trained = {prompts[group.prompt_id] for group in groups if group.purpose == Purpose.TRAIN}
    assert trained <= {prompts[prompt_id] for prompt_id in chosen}
    (run,) = rows(engine, select(Run.phase, Run.finished_at, Run.settings))
    assert run.phase == "finished"
    assert run.finished_at is not None
    stored = run.settings["database"]
    assert ":" not in stored["url"].partition("://")[2].partition("@")[0], "the row of a run holds no password"
    assert set(stored.get("password", "")) <= {"*"}

    report = audit_run(loop.settings, loop.bootstrap, engine)
    assert report.violations == []
    assert report.finished
    assert report.groups == {"eval": {"filtered": 8}, "assess": {"filtered": 8}, "train": {"trained": 6}}
    assert report.counts["verdicts"] == report.counts["score_rows"] == 8 * 2 + 8 * 3 + 6 * 2


def test_an_evaluation_has_intervals_and_its_prompts_scores(make_loop, engine, prompts):
    """What is stored can be computed again from the scores, and compared prompt by prompt."""
    loop = make_loop(max_steps=1, preppo={"enabled": False})
    loop.peer.score_of = lambda ticket, index: (index + loop.peer.version) / 2
    with engine.begin() as connection:
        mathematics = update(Prompt).where(Prompt.domain == "mathematics")
        connection.execute(mathematics.values(skill=Skill.OUT_OF_DISTRIBUTION))
    loop.peer.start_lineage()
    play(loop)
    with engine.connect() as connection:
        before, after = (prompt_scores(connection, loop.run_id, label) for label in ("before", "after"))
        stored = {(row.label, row.domain): row for row in connection.execute(select(Evaluation.__table__)).all()}
    assert {prompt.scores for prompt in before} == {(0.0, 0.5)}
    assert {prompt.scores for prompt in after} == {(0.5, 1.0)}
    assert [prompt.prompt_id for prompt in before] == [prompt.prompt_id for prompt in after]
    assert {(p.domain, p.skill) for p in before} == {("mathematics", Skill.OUT_OF_DISTRIBUTION), ("knowledge", None)}
    gain = compare(before, after, metrics_of(2, (1,)))[0].metrics["avg@2"]
    assert (gain.first, gain.second, gain.difference.value, gain.p) == (0.25, 0.75, 0.5, 2 / 2**4)
    for label, prompts_of in (("before", before), ("after", after)):
        again = {row.part.name: row.metrics["avg@2"] for row in tabulate(prompts_of, metrics_of(2, ()))}
        for domain in ("overall", "mathematics", "knowledge"):
            row = stored[label, domain]
            assert (row.mean, row.low, row.high) == (again[domain].value, again[domain].low, again[domain].high)
        assert (label, "out_of_distribution") not in stored


def test_tickets_carry_the_question_and_the_domain_s_sampling(make_loop, prompts):
    loop = make_loop(eval_at_start=False, preppo={"enabled": False})
    loop.round(*reach(loop, Phase.TRAIN))
    loop.peer.receive()
    ticket = min(loop.peer.read, key=lambda ticket: ticket.seq)
    assert (ticket.purpose, ticket.samples, ticket.group_id) == (Purpose.TRAIN, 2, f"{ticket.run_id}:0")
    assert ticket.question.prompt == prompts[ticket.prompt_id] == ticket.messages[-1]["content"]
    assert ticket.deadline - ticket.dispatched_at == pytest.approx(300)
    assert len({other.sampling.seed for other in loop.peer.read}) == len(loop.peer.read) == 4


def test_evaluations_and_selections_beside_training(make_loop, engine, prompts):
    loop = make_loop(eval_every_versions=2, max_steps=4, preppo={"samples": 3, "keep_share": 0.5, "every_versions": 2})
    loop.peer.start_lineage()
    play(loop)
    results = rows(engine, select(Evaluation.label, Evaluation.version).where(Evaluation.domain == "overall"))
    assert set(results) == {("before", 0), ("v2", 2), ("after", 4)}
    rounds = rows(engine, select(SelectionRound.round, SelectionRound.version))
    assert set(rounds) == {(0, 0), (1, 2)}
    with engine.connect() as connection:
        explained = [explain_prompt(connection, loop.settings.run.id, prompt_id) for prompt_id in prompts]
    later = [decision.why for decisions in explained for decision in decisions if decision.round == 1]
    ranked = [why for why in later if "lowest: " in why]
    assert len(ranked) == 8
    assert all("mean score" in why and " of Beta(" in why and " at version 2 (" in why for why in ranked)


def test_synchronous_training_waits_for_the_weights_of_the_step_before(make_loop, engine, prompts):
    loop = make_loop(admission={"staleness": 0, "groups_per_step": 2, "window_share": 0.5}, eval_every_versions=1)
    loop.peer.start_lineage()
    assert play(loop) == list(Phase)
    assert loop.peer.most_open == 2
    loop.peer.receive()
    wanted = {ticket.seq: ticket.min_version for ticket in loop.peer.read if ticket.purpose is Purpose.TRAIN}
    assert [version for _, version in sorted(wanted.items())] == [0, 0, 1, 1, 2, 2]
    assert {row.label for row in rows(engine, select(Evaluation.label))} == {"before", "v1", "v2", "after"}


def test_training_ends_after_its_time(make_loop, engine, prompts):
    loop = make_loop(eval_at_start=False, eval_at_end=False, max_steps=0, max_train_seconds=3600)
    loop.peer.start_lineage()
    context, phases = reach(loop, Phase.TRAIN)
    loop.round(context, phases)
    assert phases.phase is Phase.TRAIN
    with engine.begin() as connection:
        connection.execute(update(Run).values(train_started_at=datetime.now(UTC) - timedelta(hours=1)))
    context, phases = loop.resume()  # it was down for an hour, which does not count
    loop.round(context, phases)
    assert phases.phase is Phase.TRAIN
    with engine.begin() as connection:
        connection.execute(update(Run).values(trained_seconds=3600))
    context, phases = loop.resume()
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
    assert texts
    assert texts <= {f"mathematics {number}?" for number in range(2, 8)}


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
