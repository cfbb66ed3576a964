"""Rounds after the first, from statistics that the sink wrote."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from sqlalchemy import Connection, Engine
from support.score_rows import record

from infra.db.sink import ScoreSink
from infra.settings.tree import Settings
from trainer.curriculum.decisions import explain_prompt
from trainer.curriculum.selection import select_round
from trainer.prompts.dataset import Defaults, parse_row
from trainer.prompts.ingest import ingest_rows
from trainer.prompts.rerouting import NewRoute, by_domain, reroute

SETTINGS = Settings.model_validate(
    {"run": {"id": "r"}, "selector": {"preppo": {"keep_share": 0.5, "unseen_share": 0, "stale_share": 0}}}
)
"""Without quotas, so that the rule decides alone."""


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
        replace(
            record(version, value, prompt=prompt_id),
            rollout_id=f"{prompt_id[:40]}:{version}/{index}",
            route=route,
            text=f"{version}/{index}",  # responses that agree would be another matter
        )
        for index, value in enumerate(scores)
    ]
    sink.write(rows)


def decisions(connection: Connection, round_: int, prompt_ids: Sequence[str]) -> dict[str, tuple[bool, str]]:
    explained = {prompt_id: explain_prompt(connection, "r", prompt_id) for prompt_id in prompt_ids}
    return {key: next((d.selected, d.why) for d in made if d.round == round_) for key, made in explained.items()}


def test_the_prompt_that_fails_more_often_ranks_as_harder_whatever_its_first_score(
    engine: Engine, pair: list[str]
) -> None:
    mostly_right, mostly_wrong = pair
    score(engine, mostly_right, (0, 1, 1, 1, 1))
    score(engine, mostly_wrong, (1, 0, 0, 0, 0))
    with engine.begin() as connection:
        select_round(connection, SETTINGS, 1, 0)
        found = decisions(connection, 1, pair)
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
        found = decisions(connection, 1, pair)
    assert [found[prompt_id][0] for prompt_id in pair] == [False, True]


def test_a_rerouted_prompt_takes_a_quarter_of_its_evidence_along(engine: Engine, pair: list[str]) -> None:
    easy, hard = pair
    score(engine, easy, (1, 1, 1, 1))
    score(engine, hard, (0, 0, 0, 0))
    late = parse_row({"domain": "qa", "prompt": "late?", "ground_truth": "1", "origin": "new"}, Defaults())
    ingest_rows(engine, [late])
    with engine.begin() as connection:
        select_round(connection, SETTINGS, 1, 0)
        assert reroute(connection, by_domain("qa"), NewRoute(veto="exact")).changed == 3
        select_round(connection, SETTINGS, 2, 0)
        found = decisions(connection, 2, [*pair, late.id])
    assert {prompt_id: selected for prompt_id, (selected, _) in found.items()} == {
        easy: False,
        hard: True,
        late.id: False,
    }
    assert "mean score 0.333 of Beta(1.00, 2.00) at version 0 (0 scores" in found[hard][1]
    assert "not measured: none of its responses has a score" in found[late.id][1]

    score(engine, hard, (1, 1, 1), version=100, route="genrm")
    score(engine, easy, (0, 0, 0), version=100, route="genrm")
    with engine.begin() as connection:
        select_round(connection, SETTINGS, 4, 100)
        found = decisions(connection, 4, pair)
    assert [found[prompt_id][0] for prompt_id in pair] == [True, False]
