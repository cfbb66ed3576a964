"""A run: its phase, its prompts, its groups, and how far its readers of the log have come."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Float, ForeignKey, Index, Integer, String, Text, func
from sqlalchemy import text as sql
from sqlalchemy.orm import Mapped, mapped_column

from infra.db.models.table_base import Base


class Run(Base):
    __tablename__ = "runs"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    phase: Mapped[str] = mapped_column(String(32))
    """One of the selector's phases: eval_before, preppo, train, drain, eval_after, finished; or `evaluate`, in a run of
    `rewardstream evaluate`."""
    settings: Mapped[dict[str, Any]]
    train_started_at: Mapped[datetime | None]
    trained_seconds: Mapped[float] = mapped_column(Float, server_default=sql("0"))
    """How long it has trained, without the time for which it was down (`trainer.curriculum.train_clock`)."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    finished_at: Mapped[datetime | None]


class RunPrompt(Base):
    """The prompts that a run draws from. A run without a row here draws from all prompts."""

    __tablename__ = "run_prompts"

    run_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    prompt_id: Mapped[str] = mapped_column(ForeignKey("prompts.id"), primary_key=True)


class Group(Base):
    """The dispatch outbox and the state of admission. A row is committed before its ticket is produced."""

    __tablename__ = "groups"
    __table_args__ = (
        Index("ix_groups_open", "run_id", "seq", postgresql_where=sql("outcome IS NULL")),
        Index("ix_groups_run_label", "run_id", "label"),
        Index("ix_groups_prompt", "prompt_id"),
    )

    run_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    group_id: Mapped[str] = mapped_column(String(128), unique=True)
    prompt_id: Mapped[str] = mapped_column(ForeignKey("prompts.id"))
    purpose: Mapped[str] = mapped_column(String(16))
    samples: Mapped[int] = mapped_column(Integer)
    label: Mapped[str] = mapped_column(String(32), default="")
    """The measurement that an eval or assess group belongs to: `before`, `after`, `v12`, `preppo`."""
    dispatched_version: Mapped[int] = mapped_column(Integer)
    dispatched_lineage: Mapped[int] = mapped_column(Integer)
    """Newest announced (lineage, version) when the group was dispatched."""
    ticket: Mapped[bytes | None]
    """The encoded PromptTicket, which is produced again if its delivery was not confirmed. NULL once the group is
    closed: the log has it, and a million of them would be gigabytes."""
    ticket_digest: Mapped[bytes]
    """SHA-256 of the ticket, which an audit compares with the log's."""
    confirmed: Mapped[bool] = mapped_column(default=False)
    dispatched_at: Mapped[datetime] = mapped_column(server_default=func.now())
    deadline: Mapped[datetime]
    outcome: Mapped[str | None] = mapped_column(String(16))
    reason: Mapped[str | None] = mapped_column(Text)
    closed_lineage: Mapped[int | None] = mapped_column(Integer)
    closed_ordinal: Mapped[int | None] = mapped_column(BigInteger)
    closed_version: Mapped[int | None] = mapped_column(Integer)
    staleness: Mapped[int | None] = mapped_column(Integer)
    mean_score: Mapped[float | None] = mapped_column(Float)
    closed_at: Mapped[datetime | None]


class DispatchFactors(Base):
    """Factors on the dispatch shares of some domains, which the guard's alarms set, from one group on."""

    __tablename__ = "dispatch_factors"

    run_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    from_seq: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """`Group.seq` of the first group that they apply to."""
    factors: Mapped[dict[str, Any]]
    """Domain -> factor. Domains that are not named have the factor 1."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class SelectorPosition(Base):
    """How far a run's selector has applied the learner's closings, written in the transaction of what it applied. A
    selector that restarts reads on from there.
    """

    __tablename__ = "selector_positions"

    run_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    topic: Mapped[str] = mapped_column(String(255))
    offsets: Mapped[list[Any]]
    """The next offset by partition number; null for a partition of which nothing was read."""
    claims: Mapped[list[Any]]
    """The `streams.messages.LineageStarted` that count, in rising order. There is one per start of a learner."""
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())


class StreamOffset(Base):
    """The next offset that a Postgres sink reads, written in the same transaction as its rows."""

    __tablename__ = "stream_offsets"

    consumer_group: Mapped[str] = mapped_column(String(128), primary_key=True)
    topic: Mapped[str] = mapped_column(String(255), primary_key=True)
    partition: Mapped[int] = mapped_column(Integer, primary_key=True)
    next_offset: Mapped[int] = mapped_column(BigInteger)
