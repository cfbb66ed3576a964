"""A score enters two trees instead of four: its key and its group.

The sink's writes were half upkeep of indexes. The scores of a prompt are found through its groups, of which there is
one per eight scores or so; those of a run through a block range index, which costs nothing per row, since a run's rows
are written one after another.
"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_scores_prompt", "scores")
    op.drop_index("ix_scores_run_label", "scores")
    op.create_index("ix_scores_run", "scores", ["run_id"], postgresql_using="brin")
    op.create_index("ix_groups_prompt", "groups", ["prompt_id"])


def downgrade() -> None:
    op.drop_index("ix_groups_prompt", "groups")
    op.drop_index("ix_scores_run", "scores")
    op.create_index("ix_scores_run_label", "scores", ["run_id", "purpose"])
    op.create_index("ix_scores_prompt", "scores", ["prompt_id"])
