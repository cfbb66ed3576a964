"""Shadow scores are marked, a view compares the two routes on the same rollouts, an operator's choice of route is kept,
and a judge's version has room for its model's name.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_VIEW = """
CREATE VIEW calibration AS
WITH pairs AS (
    SELECT CASE marked.route WHEN 'genrm' THEN marked ELSE own END AS judge,
           CASE marked.route WHEN 'genrm' THEN own ELSE marked END AS verifier
    FROM scores AS marked
    JOIN scores AS own ON own.rollout_id = marked.rollout_id AND own.route <> marked.route AND NOT own.shadow
    WHERE marked.shadow AND marked.route IN ('genrm', 'rtv') AND own.route IN ('genrm', 'rtv')
), opinions AS (
    SELECT (judge).run_id, (judge).domain,
           (verifier).scorer AS verifier, (verifier).scorer_version AS verifier_version,
           (judge).scorer AS judge, (judge).scorer_version AS judge_version,
           coalesce((judge).judged, (judge).score) AS judge_score, (verifier).score AS verifier_score
    FROM pairs
    WHERE ((judge).status = 'judged' OR (judge).judged IS NOT NULL)
      AND (verifier).status NOT IN ('infra_error', 'timeout', 'oom')
)
SELECT run_id, domain, verifier, verifier_version, judge, judge_version,
       count(*) AS pairs,
       count(*) FILTER (WHERE verifier_score > 0.5) AS verified,
       count(*) FILTER (WHERE verifier_score <= 0.5 AND judge_score > 0.5) AS over_scored,
       count(*) FILTER (WHERE verifier_score > 0.5 AND judge_score <= 0.5) AS under_scored,
       avg(judge_score - verifier_score) AS mean_difference
FROM opinions
GROUP BY run_id, domain, verifier, verifier_version, judge, judge_version
"""
"""The view starts from the marked score of each pair, found by the partial index, so its cost grows with the number of
shadow scores only."""


def upgrade() -> None:
    op.add_column("scores", sa.Column("shadow", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("scores", sa.Column("judged", sa.Float(), nullable=True))
    op.add_column("prompts", sa.Column("rerouted_at", sa.DateTime(timezone=True), nullable=True))
    op.alter_column("scores", "scorer_version", type_=sa.String(256))
    op.execute(
        "UPDATE scores SET shadow = true FROM prompts WHERE prompts.id = scores.prompt_id"
        " AND (scores.route = 'rtv') <> (prompts.question ->> 'verifier' IS NOT NULL)"
    )
    op.create_index("ix_scores_shadow", "scores", ["run_id"], postgresql_where=sa.text("shadow"))
    op.execute(_VIEW)


def downgrade() -> None:
    op.execute("DROP VIEW calibration")
    op.drop_index("ix_scores_shadow", "scores")
    op.drop_column("prompts", "rerouted_at")
    op.drop_column("scores", "judged")
    op.drop_column("scores", "shadow")
    op.alter_column("scores", "scorer_version", type_=sa.String(64))
