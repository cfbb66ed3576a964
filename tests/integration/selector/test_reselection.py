"""Rounds after the first, from statistics that the sink wrote."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from sqlalchemy import Connection, Engine, select
from support.score_rows import record

from infra.db.models import Selection
from infra.db.sink import ScoreSink
from infra.settings.tree import Settings
from trainer.curriculum.selection import select_round
from trainer.prompts.dataset import Defaults, parse_row
from trainer.prompts.ingest import ingest_rows
from trainer.prompts.rerouting import NewRoute, by_domain, reroute

SETTINGS = Settings.model_validate({"run": {"id": "r"}, "selector": {"preppo": {"keep_share": 0.5}}})


@pytest.fixture
def pair(engine: Engine) -> list[str]:
    """Ids of two new prompts of one domain, on the route of verifiers."""
    rows = [
        {"domain": "qa", "prompt": f"{n}?", "verifier": "exact", "ground_truth": "1", "origin": "new"} for n in (0, 1)
    ]
    parsed = [parse_row(row, Defaults()) for row in rows]
    ingest_rows(engine, parsed)
    return [row.id for row in parsed]


def score(engine: Engine, prompt_id: str, scores: Sequence[float], version: int = 0, route: str = "rtv") -> None:
    sink = ScoreSink(engine, SETTINGS.difficulty.decay_per_version, "difficulty")
    rows = [
        replace(record(version, value, prompt=prompt_id), rollout_id=f"{prompt_id[:40]}:{version}/{index}", route=route)
        for index, value in enumerate(scores)
    ]
    sink.write(rows)


def decisions(connection: Connection, round_: int) -> dict[str, tuple[bool, str]]:
    query = select(Selection.prompt_id, Selection.selected, Selection.why).where(Selection.round == round_)
    return {row.prompt_id: (row.selected, row.why) for row in connection.execute(query)}


def test_the_prompt_that_fails_more_often_ranks_as_harder_whatever_its_first_score(
    engine: Engine, pair: list[str]
) -> None:
    mostly_right, mostly_wrong = pair
    score(engine, mostly_right, (0, 1, 1, 1, 1))
    score(engine, mostly_wrong, (1, 0, 0, 0, 0))
    with engine.begin() as connection:
        select_round(connection, SETTINGS, 1, 0)
        found = decisions(connection, 1)
    assert [found[prompt_id][0] for prompt_id in pair] == [False, True]
    assert (
        "mean score 0.286 of Beta(2.00, 5.00) at version 0 (5 scores, the newest of version 0)"
        in found[mostly_wrong][1]
    )


def test_old_evidence_counts_for_less_than_new(engine: Engine, pair: list[str]) -> None:
    """The prompt that failed 500 versions ago is as good as unknown; the other one fails now."""
    long_ago, now = pair
    score(engine, long_ago, (0, 0, 0, 0, 0), version=0)
    score(engine, now, (0, 0, 0, 0, 1), version=500)
    with engine.begin() as connection:
        select_round(connection, SETTINGS, 1, 500)
        found = decisions(connection, 1)
    assert [found[prompt_id][0] for prompt_id in pair] == [False, True]


def test_a_rerouted_prompt_keeps_its_decision_until_it_is_measured_there(engine: Engine, pair: list[str]) -> None:
    easy, hard = pair
    score(engine, easy, (1, 1, 1))
    score(engine, hard, (0, 0, 0))
    late = parse_row({"domain": "qa", "prompt": "late?", "ground_truth": "1", "origin": "new"}, Defaults())
    ingest_rows(engine, [late])
    with engine.begin() as connection:
        select_round(connection, SETTINGS, 1, 0)
        assert reroute(connection, by_domain("qa"), NewRoute(veto="exact")).changed == 3
        select_round(connection, SETTINGS, 2, 50)
        select_round(connection, SETTINGS, 3, 100)
        found = decisions(connection, 3)
    assert {prompt_id: selected for prompt_id, (selected, _) in found.items()} == {
        easy: False,
        hard: True,
        late.id: False,
    }
    assert found[hard][1] == "in: new, not measured on its present route; it stays in as in the round before"
    assert found[late.id][1] == "out: new and not measured: none of its responses has a score"

    score(engine, hard, (1, 1, 1), version=100, route="genrm")
    score(engine, easy, (0, 0, 0), version=100, route="genrm")
    with engine.begin() as connection:
        select_round(connection, SETTINGS, 4, 100)
        found = decisions(connection, 4)
    assert [found[prompt_id][0] for prompt_id in pair] == [True, False]
