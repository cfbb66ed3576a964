"""`rewardstream prompts explain`: before any run, and after groups and selections."""

import json

import pytest
from sqlalchemy import insert, update
from support.scored_groups import send_group

from infra.cli.errors import CommandError
from infra.cli.prompt_explanation import explain
from infra.db.models import Prompt, PromptReference
from infra.local.run_folder import write_settings
from infra.settings.tree import Settings
from streams.messages import Question
from trainer.curriculum.explain import scorer_of
from trainer.curriculum.selection import select_round
from trainer.prompts.dataset import Defaults, parse_row
from trainer.prompts.ingest import ingest_rows


@pytest.fixture
def prompts(engine):
    rows = [
        {"domain": "math", "prompt": f"{n}?", "verifier": "exact", "ground_truth": "1", "origin": "new"}
        for n in range(4)
    ]
    parsed = [parse_row(row, Defaults()) for row in rows]
    ingest_rows(engine, parsed)
    return [row.id for row in parsed]


@pytest.fixture
def settings(engine, tmp_path):
    url = engine.url.render_as_string(hide_password=False)
    preppo = {"keep_share": 0.5, "unseen_share": 0, "stale_share": 0}
    settings = Settings.model_validate(
        {"run": {"id": "r"}, "database": {"url": url}, "selector": {"preppo": preppo, "group_size": 2}}
    )
    (tmp_path / "r").mkdir()
    write_settings(settings, tmp_path / "r")
    return settings


def test_before_any_run_the_scorer_and_the_first_step_are_known(engine, prompts, tmp_path, capsys):
    url = engine.url.render_as_string(hide_password=False)
    explain(prompt_id=prompts[0], runs=tmp_path, database_url=url)
    shown = capsys.readouterr().out
    assert "scorer: RTV: the verifier exact; the prompt names a verifier" in shown
    assert "selection: none yet: before training, 5 responses to it are scored; the rule lowest then ranks it" in shown
    assert "groups: -" in shown


def test_every_decision_has_its_numbers_and_every_group_its_spread(engine, settings, prompts, tmp_path, capsys):
    for prompt, scores in zip(prompts, ([0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]), strict=True):
        send_group(engine, "r", prompt, scores, 0, purpose="assess", outcome="filtered", reason="measured")
    with engine.begin() as connection:
        select_round(connection, settings, 0, 0)
    send_group(engine, "r", prompts[0], [0.0, 0.0], 1, outcome="filtered", reason="zero_variance", closed_version=2)
    send_group(engine, "r", prompts[0], [1.0, None], 3)
    with engine.begin() as connection:
        select_round(connection, settings, 1, 3)

    explain(prompt_id=prompts[0][:12], run="r", runs=tmp_path, as_json=True)
    story = json.loads(capsys.readouterr().out)
    first, second = story["decisions"]
    assert (first["round"], first["version"], first["selected"], first["place"]) == (0, 0, True, 1)
    assert (first["numbers"]["rule"], first["numbers"]["a"], first["numbers"]["b"]) == ("lowest", 1.0, 3.0)
    assert first["numbers"]["value"] == pytest.approx(0.25)
    assert (first["cut"]["kept"], first["cut"]["candidates"]) == (2, 4)
    assert (second["numbers"]["scores"], second["numbers"]["age"]) == (5, 0)
    assert [(group["purpose"], group["scores"], group["spread"]) for group in story["groups"]] == [
        ("assess", [0.0, 0.0], 0.0),
        ("train", [0.0, 0.0], 0.0),
        ("train", [1.0, None], 0.0),
    ]
    assert [(row["version"], row["scorer"], row["count"], row["mean"]) for row in story["scores"]] == [
        (0, "exact@1", 2, 0.0),
        (1, "exact@1", 2, 0.0),
        (3, "exact@1", 1, 1.0),
    ]

    explain(prompt_id=prompts[0], run="r", runs=tmp_path)
    shown = capsys.readouterr().out
    assert "place 1 of 4" in shown
    assert (
        "filtered zero_variance at version 2; scores 0.00 0.00, spread 0.000, below learner.zero_variance_std" in shown
    )
    assert "open; scores 1.00 -" in shown
    assert "version 1: 2 by exact@1 (rtv), mean 0.000" in shown


def test_equal_values_share_their_place(engine, settings, prompts, tmp_path, capsys):
    for prompt in prompts:
        send_group(engine, "r", prompt, [0.0, 1.0], 0, purpose="assess")
    with engine.begin() as connection:
        select_round(connection, settings, 0, 0)
    for prompt in prompts:
        explain(prompt_id=prompt, run="r", runs=tmp_path, as_json=True)
        (decision,) = json.loads(capsys.readouterr().out)["decisions"]
        assert decision["place"] is not None


def test_a_prompt_that_is_not_there_and_a_run_that_is_not_there_are_named(engine, settings, prompts, tmp_path):
    with pytest.raises(CommandError, match="no prompt's id begins with 'nothing'"):
        explain(prompt_id="nothing", run="r", runs=tmp_path)
    with pytest.raises(CommandError, match="no run 'another'"):
        explain(prompt_id=prompts[0], run="another", runs=tmp_path)


def test_a_picked_reference_says_where_it_comes_from(engine, settings, prompts, tmp_path, capsys):
    reference = {
        "prompt_id": prompts[0],
        "rank": 0,
        "text": "It is 1.",
        "score": 0.875,
        "scorer": "bt",
        "scorer_version": "abc",
        "policy": "f" * 64,
        "run_id": "references",
        "rollout_id": "references:3/1",
        "responses": 8,
    }
    with engine.begin() as connection:
        connection.execute(insert(PromptReference).values(reference))
    explain(prompt_id=prompts[0], run="r", runs=tmp_path)
    line = "references: It is 1. (score 0.875 by bt@abc, best of 8 by ffffffffffff, references:3/1)"
    assert line in capsys.readouterr().out


def test_a_quarantined_prompt_says_why(engine, settings, prompts, tmp_path, capsys):
    with engine.begin() as connection:
        connection.execute(update(Prompt).where(Prompt.id == prompts[0]).values(quarantined="check the reference"))
        select_round(connection, settings, 0, 0)
    explain(prompt_id=prompts[0], run="r", runs=tmp_path)
    shown = capsys.readouterr().out
    assert "quarantined: check the reference" in shown
    assert "out: quarantined: check the reference" in shown


@pytest.mark.parametrize(
    ("question", "scorer", "why"),
    [
        ({"verifier": "math"}, "RTV: the verifier math", "names a verifier"),
        ({"verifier": "math", "ground_truth": "1"}, "RTV: the verifier math", "genrm scores 10% of its groups, too"),
        ({"ground_truth": "1"}, "GenRM, with the ground truth", "names no verifier"),
        ({"references": ("a", "b")}, "GenRM, with the best of 2 references", "neither a verifier nor a ground truth"),
        ({"references": ("a",), "veto": "sentence"}, "GenRM", "the verifier sentence marks wrong scores 0"),
        ({}, "none: it is left out", "`rewardstream prompts references`"),
    ],
)
def test_the_scorer_and_why(question, scorer, why):
    found, reason = scorer_of(Question(prompt="?", **question), 0.1)
    assert found.startswith(scorer)
    assert why in reason
