"""Queries that run often, or over a run's whole history, find their rows by the index that infra/db/README.md names.

A small table is read whole whatever its indexes are, so the planner is told that reading it whole is dear. What is left
is whether an index serves the query.
"""

from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import event, text
from support.messages import closed
from support.scored_groups import send_group

from infra.db.calibration import read_calibration
from infra.db.models import Base
from infra.report.collect import collect
from infra.settings.tree import Settings
from streams.messages import Purpose
from trainer.audit.contents import score_rows
from trainer.curriculum import apply_closings, decisions, explain, group_counts
from trainer.curriculum.dispatch import next_seq
from trainer.curriculum.lineages import Lineages
from trainer.curriculum.selection import select_round, selected
from trainer.evaluator.closings import ended_groups
from trainer.evaluator.stored import stored_scores
from trainer.prompts.dataset import Defaults, parse_row
from trainer.prompts.ingest import ingest_rows

RUN = "run"
SETTINGS = Settings.model_validate({"run": {"id": RUN}})
PROMPT = parse_row({"domain": "qa", "prompt": "1?", "verifier": "exact"}, Defaults())
OTHER = parse_row({"domain": "qa", "prompt": "2?", "verifier": "exact"}, Defaults())
_OTHERS = """
INSERT INTO groups (run_id, seq, group_id, prompt_id, purpose, samples, label, dispatched_version, dispatched_lineage,
    ticket_digest, confirmed, deadline, outcome)
SELECT CAST(:run AS varchar), seq, CAST(:run AS varchar) || ':' || seq, :prompt, 'train', 8, '', 0, 0,
    '', true, now(), 'trained'
FROM generate_series(100000, 103000) AS seq
"""
QUERIES = {
    "open_groups": (lambda c: group_counts.open_groups(c, RUN, Purpose.TRAIN), {"ix_groups_open"}),
    "oldest_open": (lambda c: group_counts.oldest_open(c, RUN), {"ix_groups_open"}),
    "ended_groups": (lambda c: ended_groups(c, RUN, {}), {"ix_groups_open", "ix_scores_group"}),
    "unscored_groups": (
        lambda c: group_counts.unscored_groups(c, RUN, "before"),
        {"ix_groups_run_label", "ix_scores_group"},
    ),
    "dispatched_prompts": (lambda c: group_counts.dispatched_prompts(c, RUN, "before"), {"ix_groups_run_label"}),
    "newest_trained": (lambda c: group_counts.newest_trained(c, RUN, 100), {"groups_pkey", "prompts_pkey"}),
    "next_seq": (lambda c: next_seq(c, RUN), {"groups_pkey"}),
    "apply_closings": (lambda c: apply_closings.apply(c, RUN, Lineages(), [closed(0, 0, run_id=RUN)]), {"groups_pkey"}),
    "selected": (lambda c: selected(c, RUN, 0), {"ix_selections"}),
    "explain_prompt": (lambda c: decisions.explain_prompt(c, RUN, PROMPT.id), {"ix_selections"}),
    "explain": (
        lambda c: explain.explain(c, Settings.model_validate({"run": {"id": RUN}}), PROMPT.id),
        {"ix_groups_prompt", "ix_scores_group"},
    ),
    "score_rows": (lambda c: list(score_rows(c.engine, RUN)), {"ix_scores_run"}),
    "read_calibration": (lambda c: read_calibration(c, RUN), {"ix_scores_shadow"}),
    "stored_scores": (lambda c: stored_scores(c, ["digest"]), {"ix_evaluated_prompts_asked"}),
    "collect": (lambda c: collect(c.engine, SETTINGS, Path("none")), {"ix_evaluated_models_source"}),
}
"""Name -> the query, and the indexes that find its rows."""


@pytest.fixture
def filled(engine):
    ingest_rows(engine, [PROMPT, OTHER])
    send_group(engine, RUN, PROMPT.id, [0.0, 1.0], 1)
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO runs (id, phase, settings) VALUES (:run, 'train', '{}')"), {"run": RUN})
        connection.execute(text(_OTHERS), {"run": RUN, "prompt": OTHER.id})
        select_round(connection, SETTINGS, 0, 0)
        connection.execute(text("ANALYZE groups"))
    return engine


@contextmanager
def plans_of(engine):
    """Collects the plan of each statement that the engine executes, in which no table is read whole if an index can
    serve.
    """
    found = []

    def explained(_connection, cursor, statement, parameters, *_context):
        if statement.lstrip().startswith(("SELECT", "UPDATE", "WITH")):
            with cursor.connection.cursor() as other:
                other.execute("SET LOCAL enable_seqscan = off")
                other.execute("SET LOCAL enable_hashjoin = off")
                other.execute("SET LOCAL enable_mergejoin = off")
                other.execute("EXPLAIN (COSTS OFF) " + statement, parameters)
                found.append("\n".join(row[0] for row in other.fetchall()))

    event.listen(engine, "before_cursor_execute", explained)
    try:
        yield found
    finally:
        event.remove(engine, "before_cursor_execute", explained)


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_finds_its_rows_by_the_named_index(name, filled):
    query, indexes = QUERIES[name]
    with plans_of(filled) as plans, filled.connect() as connection:
        query(connection)
        connection.rollback()
    together = "\n".join(plans)
    missing = {index for index in indexes if index not in together}
    assert not missing, together


def test_no_index_is_without_a_query():
    used = set().union(*(indexes for _, indexes in QUERIES.values()))
    assert {index.name for table in Base.metadata.sorted_tables for index in table.indexes} <= used
