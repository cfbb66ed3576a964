"""How long a run has trained, which the time since training began does not tell of a run that was down meanwhile."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("runs", sa.Column("trained_seconds", sa.Float(), server_default=sa.text("0"), nullable=False))
    # A run that trains while its database is upgraded goes on from the time that it counted before.
    op.execute(
        "UPDATE runs SET trained_seconds = extract(epoch FROM now() - train_started_at) "
        "WHERE phase = 'train' AND train_started_at IS NOT NULL"
    )


def downgrade() -> None:
    op.drop_column("runs", "trained_seconds")
