"""`rewardstream prompts simulate` on a run in a real database: replayed selections are those of the run, and only what
was recorded counts.
"""

import json
from collections import ChainMap

import pytest
from sqlalchemy import select
from support.scored_groups import send_group

from infra.cli.errors import CommandError
from infra.cli.prompt_simulation import simulate
from infra.db.models import Prompt, PromptStats, Selection
from infra.db.statistics import Running
from infra.local.run_folder import write_settings
from infra.settings.load import with_changes
from infra.settings.tree import Settings
from trainer.curriculum import recorded_run
from trainer.curriculum.recorded_run import choices_of_rules, read_recorded_run
from trainer.curriculum.selection import select_round
from trainer.prompts.dataset import Defaults, parse_row
from trainer.prompts.ingest import ingest_rows

ROUNDS = 3
ALONE = {"enabled": True, "mixture": {}, "rule_by_domain": {}}


@pytest.fixture
def settings(engine, tmp_path):
    """A run of the rule `lowest`, in which half of the twelve prompts are kept."""
    url = engine.url.render_as_string(hide_password=False)
    preppo = {"keep_share": 0.5, "unseen_share": 0, "stale_share": 0}
    tree = {"run": {"id": "r"}, "database": {"url": url}, "selector": {"preppo": preppo, "group_size": 4}}
    settings = Settings.model_validate(tree)
    (tmp_path / "r").mkdir()
    write_settings(settings, tmp_path / "r")
    return settings


@pytest.fixture
def prompts(engine):
    rows = [
        {"domain": domain, "prompt": f"{domain} {number}?", "verifier": "exact", "ground_truth": "1", "origin": "new"}
        for domain in ("math", "qa")
        for number in range(6)
    ]
    parsed = [parse_row(row, Defaults()) for row in rows]
    ingest_rows(engine, parsed)
    return [row.id for row in parsed]


def play(engine, settings, prompts):
    """Every prompt is assessed; in each round two groups of every selected prompt are scored, higher from round to
    round.
    """
    for index, prompt in enumerate(prompts):
        send_group(engine, "r", prompt, [0.0, 1.0, (index % 6) / 5], 0, purpose="assess", label="preppo")
    for round_ in range(ROUNDS):
        with engine.begin() as connection:
            select_round(connection, settings, round_, round_)
            chosen = connection.scalars(
                select(Prompt.id)
                .join(Selection, Selection.prompt_number == Prompt.number)
                .where(Selection.round == round_, Selection.selected)
                .order_by(Prompt.id)
            ).all()
        for place, prompt in enumerate(chosen):
            send_group(engine, "r", prompt, [0.0, 0.0, 1.0, 1.0], round_)
            send_group(engine, "r", prompt, [float(round_ > 0)] * (4 if place else 3) + [None] * (not place), round_)


def selections(connection):
    rows = connection.execute(
        select(Selection.round, Prompt.domain, Prompt.number)
        .join(Prompt, Prompt.number == Selection.prompt_number)
        .where(Selection.selected)
    )
    found = {}
    for round_, domain, number in rows:
        found.setdefault((round_, domain), set()).add(number)
    return found


def test_the_run_s_own_rule_selects_again_what_the_run_selected(engine, settings, prompts):
    play(engine, settings, prompts)
    with engine.connect() as connection:
        recorded = read_recorded_run(connection, settings)
        choices = choices_of_rules(connection, "r", recorded, {"lowest": ALONE | {"rule": "lowest"}})["lowest"]
        made = selections(connection)
    assert len(made) == 2 * ROUNDS
    assert {(one.round, one.domain): one.recorded for one in choices} == made
    assert all(one.selected == len(one.recorded) == 3 for one in choices)
    assert recorded.sent == dict.fromkeys(made, 6)
    # One group per round lacks a score: it was sent, and is not recorded.
    assert [sum(group.round == round_ for group in recorded.groups) for round_ in range(ROUNDS)] == [11] * ROUNDS
    assert {(group.spread, group.reward) for group in recorded.groups} == {(True, 0.5), (False, 0.0), (False, 1.0)}


def test_the_statistics_counted_again_are_those_of_the_sink(engine, settings, prompts):
    play(engine, settings, prompts)
    with engine.begin() as connection:
        select_round(connection, settings, ROUNDS, ROUNDS)
        rounds = read_recorded_run(connection, settings).rounds
        again = dict(ChainMap(*reversed(recorded_run._evidence(connection, "r", rounds))))
        columns = [getattr(PromptStats, name) for name in Running.__annotations__]
        stored = {
            (row[0], row[1]): Running(*row[2:])
            for row in connection.execute(select(PromptStats.prompt_id, PromptStats.route, *columns))
        }
    for running in (again, stored):
        for key, value in running.items():
            running[key] = (
                value.count,
                value.successes,
                value.failures,
                value.evidence_version,
                value.last,
                value.repeats,
            )
    assert len(again) == 12
    assert again == stored


def test_the_command_prints_a_table_json_and_what_the_log_cannot_say(engine, settings, prompts, tmp_path, capsys):
    play(engine, settings, prompts)
    simulate(rule=["lowest", "uniform"], run="r", runs=tmp_path, as_json=True)
    found = json.loads(capsys.readouterr().out)
    run, lowest, uniform = found["rules"]
    assert (run["rule"], run["groups"], run["known"]) == ("the run", 36, 33)
    assert lowest["groups"] == lowest["known"] == 36
    assert lowest["spread_difference"] == {"mean": 0, "low": 0, "high": 0}
    assert lowest["spread"]["low"] <= lowest["spread"]["mean"] <= lowest["spread"]["high"]
    assert lowest["without_spread"] == pytest.approx(36 * (1 - lowest["spread"]["mean"]))
    assert 0 < uniform["known"] < 36
    assert uniform["known"] + uniform["unknown"] == uniform["groups"] == 36
    assert "selected by scores" in " ".join(found["statement"])
    simulate(rule=["uniform"], keep_share=1.0, run="r", runs=tmp_path)
    shown = capsys.readouterr().out
    assert "uniform" in shown
    assert "(50%)" in shown  # of twelve prompts, the six that the run selected are known
    assert "Only recorded outcomes are used: 33 of 36 groups" in " ".join(shown.split())


def test_a_run_that_draws_at_random_speaks_for_every_rule(engine, settings, prompts, tmp_path, capsys):
    drawn = with_changes(settings, selector={"preppo": settings.selector.preppo.model_dump() | {"rule": "uniform"}})
    play(engine, drawn, prompts)
    simulate(rule=["informative"], run="r", runs=tmp_path, as_json=True)
    assert "random sample" in " ".join(json.loads(capsys.readouterr().out)["statement"])


def test_nothing_to_replay_and_unknown_rules_are_named(engine, settings, prompts, tmp_path):
    with pytest.raises(CommandError, match="run r has made no selection yet"):
        simulate(rule=["lowest"], run="r", runs=tmp_path)
    with pytest.raises(CommandError, match="unknown selection rule 'best'; installed are"):
        simulate(rule=["best"], run="r", runs=tmp_path)
    with pytest.raises(CommandError, match="--keep-share 0"):
        simulate(rule=["lowest"], keep_share=0, run="r", runs=tmp_path)
