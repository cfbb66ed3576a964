"""Prompts that change their scorer, in the database."""

import pytest

from streams.messages import Question
from trainer.curriculum.prompt_pool import ticket_prompts
from trainer.prompts.dataset import Defaults, parse_row
from trainer.prompts.ingest import ingest_rows
from trainer.prompts.rerouting import NewRoute, by_domain, by_id, reroute

MATH = {"domain": "mathematics", "prompt": "2 + 3?", "verifier": "math", "ground_truth": "5"}
CODE = {"domain": "code", "prompt": "Add.", "verifier": "code", "options": {"tests": {"kind": "function"}}}


@pytest.fixture
def rows(engine):
    rows = [parse_row(raw, Defaults()) for raw in (MATH, CODE)]
    ingest_rows(engine, rows)
    return rows


def question_of(engine, row) -> Question:
    with engine.connect() as connection:
        return ticket_prompts(connection, [row.id])[0].question


def change(engine, which, **route):
    with engine.begin() as connection:
        done = reroute(connection, which, NewRoute(**route))
    return done.changed, done.same, done.unfit


def test_a_domain_goes_to_the_judge_under_a_veto_and_back(engine, rows) -> None:
    assert change(engine, by_domain("mathematics"), veto="math") == (1, 0, 0)
    moved = question_of(engine, rows[0])
    assert (moved.verifier, moved.veto, moved.ground_truth) == (None, "math", "5")
    assert change(engine, by_domain("mathematics"), veto="math") == (0, 1, 0)
    assert change(engine, by_id(rows[0].id[:10]), verifier="exact") == (1, 0, 0)
    back = question_of(engine, rows[0])
    assert (back.verifier, back.veto) == ("exact", None)


def test_what_the_judge_could_not_score_keeps_its_verifier(engine, rows) -> None:
    assert change(engine, by_domain("code")) == (0, 0, 1)
    assert question_of(engine, rows[1]).verifier == "code"


def test_ingesting_again_leaves_a_chosen_route_and_takes_the_rest(engine, rows) -> None:
    change(engine, by_domain("mathematics"), veto="math")
    ingest_rows(engine, [parse_row(MATH | {"references": ["It is 5."]}, Defaults()), rows[1]])
    again = question_of(engine, rows[0])
    assert (again.verifier, again.veto, again.references) == (None, "math", ("It is 5.",))


def test_a_veto_has_no_place_beside_a_verifier() -> None:
    with pytest.raises(ValueError, match="veto"):
        NewRoute(verifier="math", veto="math")
