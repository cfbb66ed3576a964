"""The view over shadow scores: what it counts, what it leaves out, and that shadows are nobody's reward."""

from dataclasses import replace

import pytest
from sqlalchemy import insert
from sqlalchemy.orm import Session
from support.score_rows import record

from infra.db.calibration import Calibration, read_calibration
from infra.db.models import Group, Prompt
from infra.db.sink import ScoreSink
from trainer.curriculum.group_counts import primary_scores

RTV = {"route": "rtv", "scorer": "math", "scorer_version": "3"}
GENRM = {"route": "genrm", "scorer": "genrm-hf", "scorer_version": "abc", "status": "judged"}


def pair(number, verified, opinion, *, shadow="genrm", **judge):
    """Both scores of one rollout; `shadow` says which one is the copy's."""
    rtv = replace(record(number, verified, offset=2 * number), **RTV, shadow=shadow == "rtv")
    genrm = replace(record(number, opinion, offset=2 * number + 1), **(GENRM | judge), shadow=shadow == "genrm")
    return [rtv, genrm]


def read(engine, run_id="r"):
    with engine.connect() as connection:
        return list(read_calibration(connection, run_id))


@pytest.fixture
def sink(engine):
    return ScoreSink(engine, decay=0.9, consumer_group="difficulty")


@pytest.mark.parametrize("shadow", ["genrm", "rtv"])
def test_agreement_and_over_and_under_scoring_either_way_round(engine, sink, shadow) -> None:
    scores = [(1.0, 0.9), (1.0, 0.2), (0.0, 0.8), (0.0, 0.1), (0.0, 0.5)]
    sink.write([row for number, both in enumerate(scores) for row in pair(number, *both, shadow=shadow)])
    [found] = read(engine)
    assert found == Calibration(
        domain="qa",
        verifier="math@3",
        judge="genrm-hf@abc",
        pairs=5,
        verified=2,
        over_scored=1,
        under_scored=1,
        mean_difference=pytest.approx(0.1),
    )
    assert found.agreement == pytest.approx(0.6)
    assert (found.over_scoring, found.under_scoring) == (pytest.approx(1 / 3), 0.5)


def test_a_vetoed_rollout_counts_by_what_the_judge_said(engine, sink) -> None:
    """Its own score is the verifier's, with which the verifier would always agree."""
    sink.write(pair(0, 0.0, 0.0, shadow="rtv", status="wrong", judged=0.9))
    [found] = read(engine)
    assert (found.over_scored, found.mean_difference) == (1, pytest.approx(0.9))


def test_calibration_leaves_out_what_is_no_opinion(engine, sink) -> None:
    unasked = pair(0, 0.0, 0.0, shadow="rtv", status="wrong", scorer="math", scorer_version="3")
    failed = pair(1, 1.0, None, status="infra_error")
    hung = [replace(row, status="timeout") if row.route == "rtv" else row for row in pair(2, 0.0, 0.9)]
    alone = pair(3, 1.0, 0.9)[:1]
    sink.write([*unasked, *failed, *hung, *alone])
    assert read(engine) == []


def test_versions_domains_and_runs_are_apart_and_delivery_twice_is_as_once(engine, sink) -> None:
    rows = [*pair(0, 1.0, 0.9), *pair(1, 1.0, 0.9, scorer_version="def")]
    rows += [replace(row, domain="code") for row in pair(2, 0.0, 0.9)]
    rows += [replace(row, run_id="other") for row in pair(3, 0.0, 0.9)]
    sink.write(rows)
    sink.write(rows)
    assert [(row.domain, row.judge, row.pairs) for row in read(engine)] == [
        ("code", "genrm-hf@abc", 1),
        ("qa", "genrm-hf@abc", 1),
        ("qa", "genrm-hf@def", 1),
    ]
    assert [row.over_scored for row in read(engine, "other")] == [1]


def test_a_shadow_is_no_reward_also_after_the_prompt_changed_its_route(engine, sink) -> None:
    """The first group was scored by RTV and shadowed by GenRM; its prompt has gone to GenRM since."""
    question = {"prompt": "?", "ground_truth": "5"}
    prompt = {"id": "p0", "domain": "qa", "split": "train", "origin": "new", "messages": [], "question": question}
    group = {
        "run_id": "r",
        "seq": 0,
        "group_id": "r:0",
        "prompt_id": "p0",
        "purpose": "assess",
        "samples": 1,
        "label": "preppo",
        "dispatched_version": 0,
        "dispatched_lineage": 0,
        "ticket": b"",
        "ticket_digest": b"",
        "deadline": "2030-01-01",
    }
    with engine.begin() as connection:
        connection.execute(insert(Prompt), prompt)
        connection.execute(insert(Group), group)
    sink.write(pair(0, 1.0, 0.2)[::-1])
    with Session(engine) as session:
        [row] = session.execute(primary_scores("r", "preppo"))
    assert (row.rollout_id, row.score) == ("r:0/0", 1.0)
