"""Pairs of scores in Postgres: which two count, on held-out responses and on newly credited ones."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import Connection, Engine, insert
from support.score_rows import record

from infra.db.models import Group
from infra.db.rescores import write_rescored
from infra.db.second_scores import Exploitation, read_exploitation, read_heldout_verdicts
from infra.db.sink import ScoredRecord, ScoreSink
from trainer.prompts.dataset import Defaults, parse_row
from trainer.prompts.ingest import ingest_rows


class Scores:
    """Groups of run `r`, with their scores."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        rows = [parse_row({"domain": "qa", "prompt": f"{n}?", "ground_truth": "1"}, Defaults()) for n in range(3)]
        ingest_rows(engine, rows)
        self.prompts = [row.id for row in rows]
        self.sink = ScoreSink(engine, 0.9, "difficulty")

    def add_group(self, seq: int, scores, *, prompt: int = 0, version: int = 0, label: str = "", **changes) -> None:
        """`scores`: per response (own score, second score or None)."""
        purpose = "eval" if label else "train"
        with self.engine.begin() as connection:
            connection.execute(
                insert(Group).values(
                    run_id="r",
                    seq=seq,
                    group_id=f"r:{seq}",
                    prompt_id=self.prompts[prompt],
                    purpose=purpose,
                    label=label,
                    samples=len(scores),
                    dispatched_version=version,
                    dispatched_lineage=0,
                    ticket=b"",
                    ticket_digest=b"",
                    deadline=datetime.now(UTC),
                )
            )
        same = {"group_id": f"r:{seq}", "prompt_id": self.prompts[prompt], "purpose": purpose, "route": "genrm"}
        own = [
            replace(record(seq, score), rollout_id=f"r:{seq}/{index}", scorer="judge", policy_version=version, **same)
            for index, (score, _) in enumerate(scores)
        ]
        self.sink.write(own)
        second = [
            replace(row, score=second, **({"scorer": "math"} | changes))
            for row, (_, second) in zip(own, scores, strict=True)
            if second is not None
        ]
        write_rescored(self.engine, second)

    def shadow(self, seq: int, index: int, score: float | None) -> ScoredRecord:
        row = record(seq, score, prompt=self.prompts[0])
        row = replace(row, rollout_id=f"r:{seq}/{index}", route="rtv", scorer="exact", shadow=True)
        self.sink.write([row])
        return row


@pytest.fixture
def scores(engine: Engine) -> Scores:
    return Scores(engine)


@pytest.fixture
def connection(engine: Engine):
    with engine.connect() as connection:
        yield connection


def test_held_out_verdicts_are_paired_by_response(scores: Scores, connection: Connection) -> None:
    scores.add_group(0, [(0.9, 1.0), (0.8, 0.0), (0.2, 0.0), (0.9, None)], label="before")
    scores.add_group(1, [(0.1, 1.0), (None, 1.0)], label="before", prompt=1)
    scores.add_group(2, [(0.9, 1.0)], label="v4")
    first, second = sorted(read_heldout_verdicts(connection, "r", ["before"]), key=lambda row: row.responses)[::-1]
    assert (first.prompt_id, first.route, first.responses, first.passed) == (scores.prompts[0], "genrm", 4, 0.75)
    assert (first.twice, first.passed_twice_scored, first.passed_by_second) == (
        3,
        pytest.approx(2 / 3),
        pytest.approx(1 / 3),
    )
    assert (first.scorers, first.second_scorers) == ("judge@1", "math@1")
    assert (second.responses, second.twice, second.passed_by_second) == (1, 1, 1.0)
    assert len(read_heldout_verdicts(connection, "r", ["before", "v4"])) == 3
    assert read_heldout_verdicts(connection, "other", ["before"]) == []


def test_a_cross_check_counts_before_a_shadow_and_a_failed_one_not_at_all(
    scores: Scores, connection: Connection
) -> None:
    scores.add_group(0, [(0.9, 1.0), (0.9, None), (0.9, None)], label="before")
    scores.shadow(0, 0, 0.0)
    scores.shadow(0, 1, 1.0)
    scores.shadow(0, 2, None)
    [row] = read_heldout_verdicts(connection, "r", ["before"])
    assert (row.responses, row.twice, row.passed_by_second) == (3, 2, 1.0)
    assert row.second_scorers == "exact@1,math@1"


def test_the_same_scorer_in_the_same_version_is_no_second_one(scores: Scores, connection: Connection) -> None:
    scores.add_group(0, [(0.9, 0.0)], label="before", scorer="judge")
    [row] = read_heldout_verdicts(connection, "r", ["before"])
    assert (row.twice, row.passed_by_second, row.second_scorers) == (0, None, None)
    scores.add_group(1, [(0.9, 0.0)], label="v2", scorer="judge", scorer_version="2")
    [row] = read_heldout_verdicts(connection, "r", ["v2"])
    assert (row.twice, row.passed_by_second) == (1, 0.0)


def test_newly_credited_are_those_that_the_first_policy_failed(scores: Scores, connection: Connection) -> None:
    scores.add_group(0, [(0.1, 0.0), (0.6, 0.0)], version=0)  # prompt 0: mean 0.35
    scores.add_group(1, [(0.9, 1.0), (0.9, 0.0)], version=0, prompt=1)
    scores.add_group(2, [(0.9, 1.0), (0.8, 0.0), (0.7, 0.0), (0.3, 0.0), (0.9, None)], version=5)
    scores.add_group(3, [(0.9, 0.0)], version=5, prompt=1)  # was not failed
    scores.add_group(4, [(0.9, 0.0)], version=6, prompt=2)  # the first time
    scores.add_group(5, [(0.9, 0.0)], version=7)
    found = read_exploitation(connection, "r")
    assert found == [Exploitation(5, "genrm", "qa", 3, 2), Exploitation(7, "genrm", "qa", 1, 1)]
    assert read_exploitation(connection, "r", since_version=6) == found[1:]
    assert read_exploitation(connection, "other") == []
