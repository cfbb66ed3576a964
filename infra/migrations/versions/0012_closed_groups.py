"""A closed group drops its ticket and keeps the digest; a score may be without its text; the selector's position.

The log has tickets and texts. Texts that are in the database stay. Open groups get an index of their own in place of
one over all outcomes, of which nothing but the open ones was asked. The index of prompts by domain goes: a domain is a
good part of the prompts, so nothing used it, and each new prompt paid for it.
The calibration of a run reads that run's shadow scores only.
The downgrade leaves empty tickets and texts, which an earlier version takes for tickets that differ from the log's.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_VIEW = """
CREATE OR REPLACE VIEW calibration AS
WITH pairs AS (
    SELECT CASE marked.route WHEN 'genrm' THEN marked ELSE own END AS judge,
           CASE marked.route WHEN 'genrm' THEN own ELSE marked END AS verifier,
           marked.run_id AS run_of_both
    FROM scores AS marked
    JOIN scores AS own ON own.rollout_id = marked.rollout_id AND own.route <> marked.route AND NOT own.shadow
    WHERE marked.shadow AND marked.route IN ('genrm', 'rtv') AND own.route IN ('genrm', 'rtv')
), opinions AS (
    SELECT {run} AS run_id, (judge).domain,
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
"""A condition on the run reaches the index of shadow scores only if it is about a plain column of the marked score."""


def upgrade() -> None:
    op.add_column("groups", sa.Column("ticket_digest", sa.LargeBinary(), nullable=True))
    op.alter_column("groups", "ticket", nullable=True)
    op.execute(
        "UPDATE groups SET ticket_digest = sha256(ticket), ticket = CASE WHEN outcome IS NULL THEN ticket ELSE NULL END"
    )
    op.alter_column("groups", "ticket_digest", nullable=False)
    op.drop_index("ix_groups_run_outcome", "groups")
    op.create_index("ix_groups_open", "groups", ["run_id", "seq"], postgresql_where=sa.text("outcome IS NULL"))
    op.alter_column("scores", "text", nullable=True)
    op.drop_index("ix_prompts_domain", "prompts")
    op.create_table(
        "selector_positions",
        sa.Column("run_id", sa.String(64), nullable=False),
        sa.Column("topic", sa.String(255), nullable=False),
        sa.Column("offsets", postgresql.JSONB(), nullable=False),
        sa.Column("claims", postgresql.JSONB(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("run_id"),
    )
    op.execute(_VIEW.format(run="run_of_both"))


def downgrade() -> None:
    op.execute(_VIEW.format(run="(judge).run_id"))
    op.drop_table("selector_positions")
    op.create_index("ix_prompts_domain", "prompts", ["domain"])
    op.execute("UPDATE scores SET text = '' WHERE text IS NULL")
    op.alter_column("scores", "text", nullable=False)
    op.drop_index("ix_groups_open", "groups")
    op.create_index("ix_groups_run_outcome", "groups", ["run_id", "outcome"])
    op.execute("UPDATE groups SET ticket = '' WHERE ticket IS NULL")
    op.alter_column("groups", "ticket", nullable=False)
    op.drop_column("groups", "ticket_digest")
