"""References are picked on a real broker and database: the best response, once, whatever is killed in between."""

import pytest
from sqlalchemy import select, update
from support.evaluation_loop import EvaluationLoop, deadline_passed, policy_files

from infra.db.models import Prompt, PromptReference, Run
from infra.settings.tree import Settings
from streams.messages import Purpose
from trainer.audit.audit import audit_run
from trainer.curriculum.prompt_pool import train_pool, without_scorer
from trainer.curriculum.selection import select_round, selected
from trainer.reward_models.reference_plan import ReferencePlan
from trainer.reward_models.reference_store import PickSettings, open_prompts, pick_measured


def plan_for(loop: EvaluationLoop, prompts: list[str], samples: int = 3, keep: int = 2) -> ReferencePlan:
    pick = PickSettings(keep, "d" * 64, lambda _: 100)
    return ReferencePlan(policy_files(), samples, 0, prompts, pick)


def references_of(engine) -> dict[str, list[str]]:
    with engine.connect() as connection:
        rows = connection.execute(select(Prompt.id, Prompt.question))
        return {row.id: row.question.get("references", []) for row in rows}


def origins(engine):
    with engine.connect() as connection:
        query = select(PromptReference.__table__).order_by(PromptReference.prompt_id, PromptReference.rank)
        return connection.execute(query).all()


def best_is(best: int):
    """Scores of a peer: the response of this index is the best, the first one the worst."""
    return lambda _ticket, index: 0.9 if index == best else 0.1 + index / 10


@pytest.mark.parametrize("restart", [False, True])
def test_each_prompt_gets_its_best_responses_and_they_say_where_they_come_from(
    make_run, engine, prompts, restart
) -> None:
    loop = make_run()
    loop.peer.score_of = best_is(1)
    with engine.connect() as connection:
        asked = open_prompts(connection)
        assert sorted(asked) == sorted(prompts)
        assert open_prompts(connection, ["letters"]) == [prompts[3]]
        assert len(open_prompts(connection, limit=2)) == 2
        assert without_scorer(connection, loop.run_id) == 4
        assert [row.domain for row in connection.execute(train_pool(connection, loop.run_id))] == ["knowledge"]
    assert loop.play(plan_for(loop, asked), restart=restart)

    found = references_of(engine)
    assert {prompt: found[prompt] for prompt in prompts} == {prompt: ["answer 1", "answer 2"] for prompt in prompts}
    assert all(not texts for prompt, texts in found.items() if prompt not in prompts)
    rows = origins(engine)
    assert [(row.rank, row.text, round(row.score, 6)) for row in rows] == [
        (0, "answer 1", 0.9),
        (1, "answer 2", 0.3),
    ] * 4
    assert {(row.run_id, row.policy, row.responses) for row in rows} == {(loop.run_id, "d" * 64, 3)}
    assert all(row.rollout_id.startswith(loop.run_id) for row in rows)
    assert all(row.scorer and row.scorer_version for row in rows)
    assert {group.purpose for group in loop.groups()} == {Purpose.ASSESS}
    with engine.connect() as connection:
        assert open_prompts(connection) == []
        assert (
            len(connection.execute(train_pool(connection, loop.run_id)).all()) == 5
        )  # what was open-ended is trained on
        assert connection.scalar(select(Run.phase).where(Run.id == loop.run_id)) == "finished"
    report = audit_run(loop.settings, loop.bootstrap, engine)
    assert report.violations == []
    assert report.groups == {"assess": {"filtered": 4}}


def test_what_was_picked_before_a_kill_is_not_generated_again(make_run, engine, prompts) -> None:
    first = make_run()
    first.deaf = {2, 3}
    assert not first.play(plan_for(first, prompts), rounds=12)
    picked = {prompt for prompt, texts in references_of(engine).items() if texts}
    assert len(picked) == 2

    second = make_run()
    second.peer.score_of = best_is(0)
    with engine.connect() as connection:
        left = open_prompts(connection)
    assert set(left) == set(prompts) - picked
    assert second.play(plan_for(second, left))
    assert {ticket.prompt_id for ticket in second.tickets()} == set(left)
    found = references_of(engine)
    assert {prompt: found[prompt][0] for prompt in left} == dict.fromkeys(left, "answer 0")
    assert all(found[prompt] for prompt in prompts)


def test_picking_again_changes_nothing(make_run, engine, prompts) -> None:
    loop = make_run()
    plan = plan_for(loop, prompts)
    assert loop.play(plan)
    assert plan.picked.picked == 4
    before = origins(engine)
    with engine.begin() as connection:
        again = pick_measured(connection, loop.run_id, "references", PickSettings(1, "e" * 64, lambda _: 100))
    assert (again.picked, again.without_content) == (0, 0)
    assert origins(engine) == before


def test_a_prompt_that_got_a_reference_meanwhile_keeps_it(make_run, engine, prompts) -> None:
    loop = make_run()
    with engine.begin() as connection:
        question = connection.scalar(select(Prompt.question).where(Prompt.id == prompts[0]))
        own = update(Prompt).where(Prompt.id == prompts[0])
        connection.execute(own.values(question=question | {"references": ["by hand"]}))
    assert loop.play(plan_for(loop, prompts))
    found = references_of(engine)
    assert found[prompts[0]] == ["by hand"]
    assert {row.prompt_id for row in origins(engine)} == set(prompts[1:])


def test_a_group_that_fails_leaves_its_prompt_for_the_next_run(make_run, engine, prompts) -> None:
    loop = make_run()
    loop.deaf = {0}
    plan = plan_for(loop, prompts)
    assert not loop.play(plan, rounds=10)
    deadline_passed(engine, loop.run_id, 0)
    assert loop.play(plan)
    assert plan.picked.picked == 3
    with engine.connect() as connection:
        assert len(open_prompts(connection)) == 1


def test_a_run_in_training_takes_the_prompt_at_its_next_selection(make_run, engine, prompts) -> None:
    training = Settings.model_validate({"run": {"id": "training"}})

    def select_at(round_: int) -> set[str]:
        with engine.begin() as connection:
            select_round(connection, training, round_, version=round_)
            return {prompt for ids in selected(connection, "training", round_).values() for prompt in ids}

    assert not select_at(0) & set(prompts)
    loop = make_run()
    assert loop.play(plan_for(loop, prompts))
    assert set(prompts) <= select_at(1)
