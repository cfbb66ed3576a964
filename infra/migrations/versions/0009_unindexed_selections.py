"""A decision enters no tree: a round of a million of them spent half of its time on the key.

The table is only appended to, a round in one statement and in the order of the prompts' numbers, and the key of
`selection_rounds` already keeps a round from being written twice. A block range index finds the decisions of a round
or a prompt.
"""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_constraint("selections_pkey", "selections")
    op.create_index(
        "ix_selections",
        "selections",
        ["run_id", "round", "prompt_number"],
        postgresql_using="brin",
        postgresql_with={"pages_per_range": 32},
    )


def downgrade() -> None:
    op.drop_index("ix_selections", "selections")
    op.create_primary_key("selections_pkey", "selections", ["run_id", "round", "prompt_number"])
