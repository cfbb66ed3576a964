"""Evaluations have intervals, prompts may name a skill, and an evaluation by itself stores its model and what it asked.

Rows of `evaluations` that were written before keep no interval; the scores from which it comes are still there.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("evaluations", sa.Column("low", sa.Float(), nullable=True))
    op.add_column("evaluations", sa.Column("high", sa.Float(), nullable=True))
    op.add_column("prompts", sa.Column("skill", sa.String(32), nullable=True))
    op.create_table(
        "evaluated_models",
        sa.Column("run_id", sa.String(64), primary_key=True),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("weights", sa.String(64), nullable=False),
        sa.Column("source_run", sa.String(64), nullable=True),
        sa.Column("lineage", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
    )
    op.create_index("ix_evaluated_models_source", "evaluated_models", ["source_run", "version"])
    op.create_table(
        "evaluated_prompts",
        sa.Column("run_id", sa.String(64), primary_key=True),
        sa.Column("prompt_id", sa.String(64), sa.ForeignKey("prompts.id"), primary_key=True),
        sa.Column("asked", sa.String(64), nullable=False),
    )
    op.create_index("ix_evaluated_prompts_asked", "evaluated_prompts", ["asked"])


def downgrade() -> None:
    op.drop_table("evaluated_prompts")
    op.drop_table("evaluated_models")
    op.drop_column("prompts", "skill")
    op.drop_column("evaluations", "high")
    op.drop_column("evaluations", "low")
