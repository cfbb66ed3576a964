"""An evaluation on a real broker and database: what it asks, what it counts, and what a kill leaves of it."""

from dataclasses import replace

import msgspec
import pytest
from sqlalchemy import select, update
from support.evaluation_loop import deadline_passed, policy_files
from support.waiting import wait_until

from infra.db.models import EvaluatedModel, Evaluation, Prompt, Run
from infra.report.collect import collect
from infra.settings.evaluation import Skill
from streams.dead_letters import dead_letter
from streams.messages import Outcome, PolicyVersion, Purpose
from streams.topics import Topic
from trainer.audit.audit import audit_run
from trainer.evaluator.evaluator import open_evaluator
from trainer.evaluator.plan import cut_off_share
from trainer.evaluator.stored import failures_of


def scores_by_prompt(results):
    return {prompt.prompt_id: prompt.scores for prompt in results}


@pytest.mark.parametrize("restart", [False, True])
def test_an_evaluation_measures_every_prompt_and_its_audit_is_sound(make_evaluation, engine, prompts, restart) -> None:
    loop = make_evaluation()
    loop.peer.score_of = lambda ticket, index: (prompts.index(ticket.prompt_id) + 5 * index) / 10
    plan = loop.plan(prompts, policy_files(version=12, source_run="earlier", lineage=2))
    assert loop.play(plan, restart=restart)

    groups = loop.groups()
    assert {(group.outcome, group.reason, group.purpose) for group in groups} == {("filtered", "measured", "eval")}
    assert sorted(group.prompt_id for group in groups) == sorted(prompts)
    found = scores_by_prompt(loop.results(plan))
    assert found == {prompt: (number / 10, (number + 5) / 10) for number, prompt in enumerate(prompts)}
    skills = {prompt.domain: prompt.skill for prompt in loop.results(plan)}
    assert skills == {"mathematics": Skill.STEM, "knowledge": Skill.KNOWLEDGE}

    announced = [message for message in loop.messages(Topic.POLICY_VERSIONS) if isinstance(message, PolicyVersion)]
    assert {(message.version, message.uri) for message in announced} == {(12, "/models/tiny")}
    with engine.connect() as connection:
        assert cut_off_share(connection, plan) == 0.0
        assert cut_off_share(connection, make_evaluation(run={"seed": 9}).plan(prompts)) is None
        at_limit = replace(plan, prompts=tuple(replace(prompt, max_new_tokens=3) for prompt in plan.prompts))
        assert cut_off_share(connection, at_limit) == 1.0  # the peer's responses have three tokens
    report = audit_run(loop.settings, loop.bootstrap, engine)
    assert report.violations == []
    assert report.finished
    assert report.groups == {"eval": {"filtered": 5}}
    with engine.connect() as connection:
        stored = connection.execute(select(EvaluatedModel.__table__)).one()
        rows = connection.execute(select(Evaluation.domain, Evaluation.version, Evaluation.mean, Evaluation.low)).all()
        phase = connection.scalar(select(Run.phase).where(Run.id == loop.run_id))
    assert (stored.source_run, stored.lineage, stored.version, stored.weights) == ("earlier", 2, 12, "a" * 64)
    assert {(row.domain, row.version) for row in rows} == {("overall", 12), ("mathematics", 12), ("knowledge", 12)}
    assert next(row.mean for row in rows if row.domain == "overall") == pytest.approx(0.45)
    assert all(row.low is not None for row in rows)
    assert phase == "finished"


def test_the_report_of_a_run_has_the_evaluations_of_its_versions(make_evaluation, engine, prompts, tmp_path) -> None:
    loop = make_evaluation()
    loop.peer.score_of = lambda _ticket, index: float(index)
    loop.play(loop.plan(prompts, policy_files(version=12, source_run=loop.run_id)))  # any run that the database has
    found = {row.domain: row for row in collect(engine, loop.settings, tmp_path).evaluated_versions}
    assert set(found) == {"overall", "mathematics", "knowledge"}
    overall = found["overall"]
    assert (overall.run_id, overall.version, overall.prompts, overall.mean) == (loop.run_id, 12, 5, 0.5)
    assert (overall.low, overall.high) == (0.5, 0.5)


def test_what_is_scored_is_not_asked_again_and_what_a_kill_left_is_drawn_as_before(make_evaluation, prompts) -> None:
    """Two groups are in flight at the kill, one of them half scored: the next run draws both with the same seeds."""
    engine_of_one = {"rollout": {"engine": {"max_running": 1}}}
    first = make_evaluation(**engine_of_one)
    first.deaf = {1, 2, 3, 4}
    plan = first.plan(prompts)
    assert not first.play(plan, rounds=12)
    left = first.tickets()
    measured = [ticket.prompt_id for ticket in left if ticket.seq == 0]
    assert 1 < len(left) < len(prompts)

    second = make_evaluation(**engine_of_one)
    again = second.plan(prompts)
    assert sorted(prompt.prompt_id for prompt in again.lacking) == sorted(set(prompts) - set(measured))
    assert second.play(again)
    drawn = {ticket.prompt_id: ticket.sampling.seed for ticket in second.tickets()}
    assert {ticket.prompt_id: ticket.sampling.seed for ticket in left if ticket.seq} == {
        prompt: seed for prompt, seed in drawn.items() if prompt in {ticket.prompt_id for ticket in left}
    }
    assert set(drawn) == set(prompts) - set(measured)
    assert set(scores_by_prompt(second.results(again))) == set(prompts)

    third = make_evaluation()
    assert third.plan(prompts).lacking == []
    assert scores_by_prompt(third.results(third.plan(prompts))) == scores_by_prompt(second.results(again))


def test_scores_of_a_group_that_was_cut_short_do_not_count(make_evaluation, engine, prompts) -> None:
    """Its missing responses are the long ones."""
    loop = make_evaluation()
    loop.deaf = {0}
    plan = loop.plan(prompts)
    assert not loop.play(plan, rounds=6)
    cut = next(ticket for ticket in loop.tickets() if ticket.seq == 0)
    loop.peer.score(msgspec.structs.replace(cut, samples=1))
    assert cut.prompt_id not in scores_by_prompt(loop.results(plan))
    assert [prompt.prompt_id for prompt in loop.plan(prompts).lacking] == [cut.prompt_id]


def test_more_responses_are_added_to_those_that_are_there(make_evaluation, prompts) -> None:
    first = make_evaluation()
    first.play(first.plan(prompts))
    before = scores_by_prompt(first.results(first.plan(prompts)))
    second = make_evaluation(evaluation={"samples": 5})
    second.peer.score_of = lambda _ticket, index: index / 4
    plan = second.plan(prompts)
    assert {prompt.stored for prompt in plan.lacking} == {2}
    assert second.play(plan)
    assert {ticket.samples for ticket in second.tickets()} == {3}
    seeds = [ticket.sampling.seed for loop in (first, second) for ticket in loop.tickets()]
    assert len(set(seeds)) == len(seeds)
    after = scores_by_prompt(second.results(plan))
    assert after == {prompt: (*before[prompt], 0.0, 0.25, 0.5) for prompt in prompts}


@pytest.mark.parametrize(
    "change",
    [
        {"run": {"seed": 7}},
        {"rollout": {"sampling": {"temperature": 0.5}}},
        {"rollout": {"sampling": {"max_new_tokens": 8}}},
        {"model": {"dtype": "float32"}},
    ],
)
def test_other_conditions_are_other_scores(make_evaluation, prompts, change) -> None:
    first = make_evaluation()
    first.play(first.plan(prompts))
    assert first.plan(prompts).lacking == []
    assert len(make_evaluation(**change).plan(prompts).lacking) == len(prompts)


def test_other_weights_and_another_judge_ask_again_only_what_they_score(make_evaluation, engine, prompts) -> None:
    loop = make_evaluation()
    loop.play(loop.plan(prompts))
    assert len(loop.plan(prompts, policy_files("c" * 64)).lacking) == 5
    assert loop.plan(prompts, policy_files(name="renamed")).lacking == []
    judged = make_evaluation(genrm=loop.settings.genrm.model_dump() | {"response_characters": 600, "prompt": "rubric"})
    assert {prompt.prompt_id for prompt in judged.plan(prompts).lacking} == set(prompts[3:])
    with engine.begin() as connection:
        question = connection.scalar(select(Prompt.question).where(Prompt.id == prompts[0]))
        changed = update(Prompt).where(Prompt.id == prompts[0])
        connection.execute(changed.values(question=question | {"verifier": "set"}))
    assert [prompt.prompt_id for prompt in loop.plan(prompts).lacking] == [prompts[0]]


def test_a_group_without_a_score_fails_and_is_asked_again(make_evaluation, engine, prompts) -> None:
    loop = make_evaluation()
    loop.peer.score_of = lambda ticket, _: None if ticket.prompt_id == prompts[0] else 1.0
    plan = loop.plan(prompts)
    assert loop.play(plan)
    assert {group.prompt_id for group in loop.groups() if group.outcome == Outcome.FAILED} == {prompts[0]}
    assert [prompt.prompt_id for prompt in loop.plan(prompts).lacking] == [prompts[0]]
    with engine.connect() as connection:
        assert list(failures_of(connection, loop.run_id).values()) == [1]
    assert audit_run(loop.settings, loop.bootstrap, engine).violations == []


def test_a_ticket_in_the_dead_letters_is_not_awaited_until_its_deadline(make_evaluation, engine, prompts) -> None:
    """A prompt that is longer than the model's context ends there."""
    loop = make_evaluation()
    loop.deaf = {2}
    loop.record(plan := loop.plan(prompts))
    with open_evaluator(loop.settings, loop.bootstrap, engine, plan) as evaluator:
        evaluator.start()
        for _ in range(5):
            assert not loop.round(evaluator)
        record = next(record for record in loop.records(Topic.PROMPTS) if record.key == f"{loop.run_id}:2".encode())
        letter = dead_letter(
            record, ValueError("the prompt has 9000 tokens"), "rollout", loop.topic(Topic.DEAD_LETTERS)
        )
        loop.send_bytes(Topic.DEAD_LETTERS, letter.value or b"", *letter.headers, key=letter.key or b"")
        wait_until(lambda: loop.round(evaluator), "the group of the dead letter to close")
    (failed,) = [group for group in loop.groups() if group.outcome != Outcome.FILTERED]
    assert (failed.seq, failed.outcome, failed.reason) == (2, "failed", "rollout: the prompt has 9000 tokens")


def test_a_group_whose_rollouts_are_lost_expires(make_evaluation, engine, prompts) -> None:
    loop = make_evaluation()
    loop.deaf = {1}
    plan = loop.plan(prompts)
    assert not loop.play(plan, rounds=8)
    deadline_passed(engine, loop.run_id, 1)
    with open_evaluator(loop.settings, loop.bootstrap, engine, plan) as evaluator:
        evaluator.start()
        wait_until(lambda: loop.round(evaluator), "the group past its deadline to close")
    assert [group.seq for group in loop.groups() if group.outcome == Outcome.EXPIRED] == [1]
    report = audit_run(loop.settings, loop.bootstrap, engine)
    assert report.violations == []
    assert report.groups == {"eval": {"filtered": 4, "expired": 1}}


def test_prompts_that_nothing_can_score_are_left_out_and_counted(make_evaluation, engine, prompts) -> None:
    with engine.begin() as connection:
        connection.execute(update(Prompt).where(Prompt.id == prompts[0]).values(quarantined="odd"))
        question = connection.scalar(select(Prompt.question).where(Prompt.id == prompts[4]))
        bare = {name: value for name, value in question.items() if name != "ground_truth"}
        connection.execute(update(Prompt).where(Prompt.id == prompts[4]).values(question=bare))
    plan = make_evaluation().plan([*prompts, prompts[1]])
    assert [prompt.prompt_id for prompt in plan.prompts] == prompts[1:4]
    assert plan.unscorable == 2
    assert all(measurement.purpose is Purpose.EVAL for measurement in plan.measurements())
