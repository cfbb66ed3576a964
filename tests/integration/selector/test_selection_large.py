"""A selection over more prompts than a statement of Postgres takes parameters."""

from sqlalchemy import func, select, text

from infra.db.models import Selection
from infra.settings.tree import Settings
from trainer.curriculum.selection import LABEL, select_round

PROMPTS = 66_000
"""Postgres counts a statement's parameters in 16 bits."""
_PROMPTS = """
INSERT INTO prompts (id, domain, split, origin, messages, question, source)
SELECT 'p' || n, 'qa', 'train', 'new', '[]', '{"prompt": "?", "verifier": "exact"}', ''
FROM generate_series(1, :count) n
"""
_GROUPS = """
INSERT INTO groups (run_id, seq, group_id, prompt_id, purpose, samples, label, dispatched_version, dispatched_lineage,
                    ticket, confirmed, deadline, outcome)
SELECT 'run', n, 'run:' || n, 'p' || n, 'assess', 1, :label, 0, 0, '', true, now(), 'filtered'
FROM generate_series(1, :count) n
"""
_SCORES = """
INSERT INTO scores (rollout_id, route, scorer, scorer_version, run_id, group_id, prompt_id, domain, purpose,
                    policy_version, score, status, why, text, response_tokens, seconds, scored_at)
SELECT 'run:' || n || '/0', 'rtv', 'exact', '1', 'run', 'run:' || n, 'p' || n, 'qa', 'assess',
       0, n / CAST(:count AS float), 'judged', '', '', 1, 0, now()
FROM generate_series(1, :count) n
"""


def test_more_prompts_than_a_statement_takes_parameters(engine):
    with engine.begin() as connection:
        for statement in (_PROMPTS, _GROUPS, _SCORES):
            values = {"count": PROMPTS} | ({"label": LABEL} if ":label" in statement else {})
            connection.execute(text(statement), values)
        settings = Settings.model_validate({"run": {"id": "run"}, "selector": {"preppo": {"keep_share": 0.5}}})
        select_round(connection, settings, 0, 0)
        kept = select(func.count()).select_from(Selection).where(Selection.selected)
        assert connection.scalar(kept) == PROMPTS // 2
