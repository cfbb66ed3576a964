"""Held-out results, the models that were evaluated, and what the guard against hacking found."""

from datetime import datetime

from sqlalchemy import Float, ForeignKey, Index, Integer, String, Text, func
from sqlalchemy.orm import Mapped, mapped_column

from infra.db.models.table_base import Base


class Evaluation(Base):
    """Held-out results of one policy version: one row per domain, and one for `overall`."""

    __tablename__ = "evaluations"

    run_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    label: Mapped[str] = mapped_column(String(32), primary_key=True)
    domain: Mapped[str] = mapped_column(String(64), primary_key=True)
    version: Mapped[int] = mapped_column(Integer)
    prompts: Mapped[int] = mapped_column(Integer)
    samples: Mapped[int] = mapped_column(Integer)
    mean: Mapped[float] = mapped_column(Float)
    low: Mapped[float | None] = mapped_column(Float)
    """Lower end of the mean's 95 % bootstrap interval over prompts; NULL if an older version wrote the row."""
    high: Mapped[float | None] = mapped_column(Float)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class EvaluatedModel(Base):
    """The model that a run of `rewardstream evaluate` measured. The scores are in `scores`, under the run's id."""

    __tablename__ = "evaluated_models"
    __table_args__ = (Index("ix_evaluated_models_source", "source_run", "version"),)

    run_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    model: Mapped[str] = mapped_column(Text)
    """The model as it was named."""
    weights: Mapped[str] = mapped_column(String(64))
    """Digest of the weights, which identifies the model whatever its name."""
    source_run: Mapped[str | None] = mapped_column(String(64))
    """The run that made the model; NULL for a folder that is not of a run."""
    lineage: Mapped[int] = mapped_column(Integer)
    version: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class EvaluatedPrompt(Base):
    """A prompt of a run of `rewardstream evaluate`."""

    __tablename__ = "evaluated_prompts"
    __table_args__ = (Index("ix_evaluated_prompts_asked", "asked"),)

    run_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    prompt_id: Mapped[str] = mapped_column(ForeignKey("prompts.id"), primary_key=True)
    asked: Mapped[str] = mapped_column(String(64))
    """Digest of all that a score depends on: weights, prompt, sampling, scorer. Scores under one digest are draws from
    one distribution, so a later evaluation uses them again."""


class GuardCheck(Base):
    """What the guard against reward hacking found at one evaluation: one row per route and domain, and one per route
    over all of its domains (`overall`), as `trainer.guard.confirmation` defines it.
    """

    __tablename__ = "guard_checks"

    run_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    label: Mapped[str] = mapped_column(String(32), primary_key=True)
    """Label of the evaluation."""
    route: Mapped[str] = mapped_column(String(16), primary_key=True)
    """The route that rewards the domain in training."""
    domain: Mapped[str] = mapped_column(String(64), primary_key=True)
    version: Mapped[int] = mapped_column(Integer)
    scorers: Mapped[str] = mapped_column(Text)
    """The scorer of training and the second one; empty if the held-out responses have one verdict only."""
    prompts: Mapped[int] = mapped_column(Integer)
    credited: Mapped[float | None] = mapped_column(Float)
    """Fraction of the responses that the scorer of training passes; NULL if it has not scored them."""
    confirmed: Mapped[float] = mapped_column(Float)
    """Fraction of the responses that count as truly right."""
    reward: Mapped[float | None] = mapped_column(Float)
    """Mean reward of the training groups since the evaluation before."""
    since_label: Mapped[str | None] = mapped_column(String(32))
    """The earlier evaluation that speaks most for an alarm; NULL for the first."""
    since_version: Mapped[int | None] = mapped_column(Integer)
    reward_change: Mapped[float | None] = mapped_column(Float)
    true_change: Mapped[float | None] = mapped_column(Float)
    z: Mapped[float | None] = mapped_column(Float)
    z_limit: Mapped[float | None] = mapped_column(Float)
    alarm: Mapped[bool]
    checked_at: Mapped[datetime] = mapped_column(server_default=func.now())
