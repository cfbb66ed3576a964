"""Selection rules rank prompts in the database: statistics that they need, and decisions as numbers.

The route of a prompt becomes a column. The statistics count equal scores in a row, and vote on the answer of the wrong
responses; both begin with the scores that arrive after the upgrade. A decision becomes numbers with a reason's name
instead of a sentence; the sentences of earlier rounds are dropped, and so are the rows' copies of what a whole round
has in common. The downgrade writes the reason's name as the sentence.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_ROUTE = (
    "CASE WHEN question ->> 'verifier'::text IS NOT NULL THEN 'rtv'::text"
    " WHEN question ->> 'ground_truth'::text IS NOT NULL OR question -> 'references'::text ->> 0 IS NOT NULL"
    " THEN 'genrm'::text ELSE NULL::text END"
)
_STATISTICS = {"last": sa.Float, "repeats": sa.Integer, "wrong_votes": sa.Integer}


def upgrade() -> None:
    op.add_column("prompts", sa.Column("number", sa.BigInteger(), sa.Identity(always=True), nullable=False))
    op.create_unique_constraint("prompts_number_key", "prompts", ["number"])
    op.add_column("prompts", sa.Column("route", sa.String(16), sa.Computed(_ROUTE, persisted=True), nullable=True))
    for name, kind in _STATISTICS.items():
        op.add_column("prompt_stats", sa.Column(name, kind(), server_default=sa.text("0"), nullable=False))
    op.add_column("prompt_stats", sa.Column("wrong_answer", sa.Text(), nullable=True))
    op.add_column("scores", sa.Column("answer", sa.Text(), nullable=True))
    op.create_table(
        "selection_rounds",
        sa.Column("run_id", sa.String(64), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("settings", postgresql.JSONB(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "round"),
    )
    op.create_table(
        "selection_cuts",
        sa.Column("run_id", sa.String(64), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("rule", sa.String(64), nullable=False),
        sa.Column("domain", sa.String(64), nullable=False),
        sa.Column("candidates", sa.Integer(), nullable=False),
        sa.Column("kept", sa.Integer(), nullable=False),
        sa.Column("cut", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "round", "rule", "domain"),
    )
    op.execute(
        "INSERT INTO selection_rounds (run_id, round, version, settings, created_at)"
        " SELECT run_id, round, max(version), '{}', max(created_at) FROM selections GROUP BY run_id, round"
    )
    op.rename_table("selections", "former_selections")
    op.execute("ALTER INDEX selections_pkey RENAME TO former_selections_pkey")
    op.create_table(
        "selections",
        sa.Column("run_id", sa.String(64), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("prompt_number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("selected", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.String(16), nullable=False),
        sa.Column("rule", sa.String(64), nullable=True),
        sa.Column("value", sa.Float(), nullable=True),
        sa.Column("a", sa.REAL(), nullable=True),
        sa.Column("b", sa.REAL(), nullable=True),
        sa.Column("scores", sa.Integer(), nullable=True),
        sa.Column("age", sa.Integer(), nullable=True),
        sa.Column("last", sa.REAL(), nullable=True),
        sa.Column("repeats", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("run_id", "round", "prompt_number"),
    )
    op.execute(
        "INSERT INTO selections (run_id, round, prompt_number, selected, reason)"
        " SELECT run_id, round, number, selected, 'before' FROM former_selections JOIN prompts ON id = prompt_id"
    )
    op.drop_table("former_selections")


def downgrade() -> None:
    op.rename_table("selections", "later_selections")
    op.execute("ALTER INDEX selections_pkey RENAME TO later_selections_pkey")
    op.create_table(
        "selections",
        sa.Column("run_id", sa.String(64), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("prompt_id", sa.String(64), nullable=False),
        sa.Column("selected", sa.Boolean(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("normalised", sa.Float(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["prompt_id"], ["prompts.id"]),
        sa.PrimaryKeyConstraint("run_id", "round", "prompt_id"),
    )
    op.execute(
        "INSERT INTO selections (run_id, round, prompt_id, selected, why, version, created_at)"
        " SELECT later.run_id, later.round, id, selected, reason, version, rounds.created_at"
        " FROM later_selections AS later JOIN prompts ON number = prompt_number"
        " JOIN selection_rounds AS rounds ON (rounds.run_id, rounds.round) = (later.run_id, later.round)"
    )
    op.drop_table("later_selections")
    op.drop_table("selection_cuts")
    op.drop_table("selection_rounds")
    op.drop_column("scores", "answer")
    op.drop_column("prompt_stats", "wrong_answer")
    for name in _STATISTICS:
        op.drop_column("prompt_stats", name)
    op.drop_column("prompts", "route")
    op.drop_constraint("prompts_number_key", "prompts")
    op.drop_column("prompts", "number")
