"""What the guard against reward hacking found, and the surprisal of each scored response."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("scores", sa.Column("surprisal", sa.Float(), nullable=True))
    op.create_table(
        "guard_checks",
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("label", sa.String(length=32), nullable=False),
        sa.Column("route", sa.String(length=16), nullable=False),
        sa.Column("domain", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("scorers", sa.Text(), nullable=False),
        sa.Column("prompts", sa.Integer(), nullable=False),
        sa.Column("credited", sa.Float(), nullable=True),
        sa.Column("confirmed", sa.Float(), nullable=False),
        sa.Column("reward", sa.Float(), nullable=True),
        sa.Column("since_label", sa.String(length=32), nullable=True),
        sa.Column("since_version", sa.Integer(), nullable=True),
        sa.Column("reward_change", sa.Float(), nullable=True),
        sa.Column("true_change", sa.Float(), nullable=True),
        sa.Column("z", sa.Float(), nullable=True),
        sa.Column("z_limit", sa.Float(), nullable=True),
        sa.Column("alarm", sa.Boolean(), nullable=False),
        sa.Column("checked_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "label", "route", "domain"),
    )


def downgrade() -> None:
    op.drop_table("guard_checks")
    op.drop_column("scores", "surprisal")
