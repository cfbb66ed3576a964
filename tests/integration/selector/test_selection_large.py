"""A selection over more prompts than a statement of Postgres takes parameters."""

from sqlalchemy import func, select, text

from infra.db.models import Selection
from infra.settings.tree import Settings
from trainer.curriculum.selection import select_round, selected

PROMPTS = 66_000
"""Postgres counts a statement's parameters in 16 bits."""
_PROMPTS = """
INSERT INTO prompts (id, domain, split, origin, messages, question, source)
SELECT 'p' || n, 'qa', 'train', 'new', '[]', '{"prompt": "?", "verifier": "exact"}', ''
FROM generate_series(1, :count) n
"""
_STATISTICS = """
INSERT INTO prompt_stats (run_id, prompt_id, route, count, mean, m2, passes, successes, failures, evidence_version)
SELECT 'run', 'p' || n, 'rtv', 1, 0, 0, 0, n / CAST(:count AS float), 1 - n / CAST(:count AS float), 0
FROM generate_series(1, :count) n
"""


def test_more_prompts_than_a_statement_takes_parameters(engine, caplog):
    caplog.set_level("INFO", logger="trainer.curriculum.selection")
    with engine.begin() as connection:
        for statement in (_PROMPTS, _STATISTICS):
            connection.execute(text(statement), {"count": PROMPTS})
        settings = Settings.model_validate({"run": {"id": "run"}, "selector": {"preppo": {"keep_share": 0.5}}})
        select_round(connection, settings, 0, 0)
        assert f"prompts={PROMPTS} quarantined=0 " in caplog.text
        kept = select(func.count()).select_from(Selection).where(Selection.selected)
        assert connection.scalar(kept) == PROMPTS // 2
        assert sum(map(len, selected(connection, "run", 0).values())) == PROMPTS // 2
