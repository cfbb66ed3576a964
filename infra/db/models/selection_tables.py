"""Selection rounds: what each depended on, where its rules cut, and what it decided."""

from datetime import datetime
from typing import Any

from sqlalchemy import REAL, BigInteger, Float, Index, Integer, String, func
from sqlalchemy.orm import Mapped, mapped_column

from infra.db.models.table_base import Base


class SelectionRound(Base):
    """A selection: when, as of which version, and by which settings."""

    __tablename__ = "selection_rounds"

    run_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    round: Mapped[int] = mapped_column(Integer, primary_key=True)
    version: Mapped[int] = mapped_column(Integer)
    """Policy version as of which the statistics were seen."""
    settings: Mapped[dict[str, Any]]
    """What the round depended on except for the statistics: `trainer.curriculum.selection_plan.SelectionPlan`."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class SelectionCut(Base):
    """The cut of a rule in a round: candidates up to this value are in."""

    __tablename__ = "selection_cuts"

    run_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    round: Mapped[int] = mapped_column(Integer, primary_key=True)
    rule: Mapped[str] = mapped_column(String(64), primary_key=True)
    """A selection rule, or one of the quotas `unseen` and `stale`."""
    domain: Mapped[str] = mapped_column(String(64), primary_key=True)
    """Empty if the rule makes one cut over all its domains."""
    candidates: Mapped[int] = mapped_column(Integer)
    kept: Mapped[int] = mapped_column(Integer)
    cut: Mapped[float] = mapped_column(Float)


class Selection(Base):
    """One row per prompt and selection round: in or out, and the numbers that say why. They become a sentence by
    `trainer.curriculum.decisions`.

    There is no foreign key and no tree: either would take half of a round's time. A round is written in one statement,
    in the order of the numbers, so that a range of blocks holds a range of numbers. The key of `SelectionRound` keeps
    it from being written twice.
    """

    __tablename__ = "selections"
    __table_args__ = (
        Index(
            "ix_selections",
            "run_id",
            "round",
            "prompt_number",
            postgresql_using="brin",
            postgresql_with={"pages_per_range": 32},
        ),
    )

    run_id: Mapped[str] = mapped_column(String(64))
    round: Mapped[int] = mapped_column(Integer)
    prompt_number: Mapped[int] = mapped_column(BigInteger)
    """`Prompt.number`."""
    selected: Mapped[bool]
    reason: Mapped[str] = mapped_column(String(16))
    """A `trainer.curriculum.decisions.Reason`."""
    rule: Mapped[str | None] = mapped_column(String(64))
    """The rule that ranked it; NULL if none did."""
    value: Mapped[float | None] = mapped_column(Float)
    """What the rule ranked it by: lower is kept first."""
    a: Mapped[float | None] = mapped_column(REAL)
    b: Mapped[float | None] = mapped_column(REAL)
    """Its posterior Beta(a, b) at the round's version; NULL if nothing was known of it."""
    scores: Mapped[int | None] = mapped_column(Integer)
    age: Mapped[int | None] = mapped_column(Integer)
    """Versions between its newest score and the round."""
    last: Mapped[float | None] = mapped_column(REAL)
    repeats: Mapped[int | None] = mapped_column(Integer)
    """Both as in `PromptStats`."""

    __mapper_args__ = {"primary_key": ("run_id", "round", "prompt_number")}  # noqa: RUF012 (SQLAlchemy's own form)
