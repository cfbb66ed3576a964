"""Prompts, and the references that were picked for them. They belong to no run."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Computed, Float, ForeignKey, Identity, Integer, String, Text, func
from sqlalchemy.orm import Mapped, mapped_column

from infra.db.models.table_base import Base

_ROUTE = (
    "CASE WHEN question ->> 'verifier'::text IS NOT NULL THEN 'rtv'::text"
    " WHEN question ->> 'ground_truth'::text IS NOT NULL OR question -> 'references'::text ->> 0 IS NOT NULL"
    " THEN 'genrm'::text ELSE NULL::text END"
)
"""It is written with the types that Postgres adds, so that the models and a migrated database compare as equal."""


class Prompt(Base):
    __tablename__ = "prompts"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    """Content hash: the same prompt ingested twice is one row."""
    number: Mapped[int] = mapped_column(BigInteger, Identity(always=True), unique=True)
    """The prompt in the table `selections`, which has a row per prompt and round: an eighth of the id's size, and
    ascending in the order of the rows, which makes an index over a million of them five times as fast to write."""
    domain: Mapped[str] = mapped_column(String(64))
    split: Mapped[str] = mapped_column(String(16))
    """`train` or `heldout`."""
    origin: Mapped[str] = mapped_column(String(16))
    """`original` or `new`; Pre-PPO selects among the new prompts."""
    messages: Mapped[list[Any]]
    question: Mapped[dict[str, Any]]
    """A `streams.messages.Question`."""
    route: Mapped[str | None] = mapped_column(String(16), Computed(_ROUTE, persisted=True))
    """`streams.route_headers.route_of`, as the prompt is routed now; NULL if nothing can score it yet. It is stored,
    because a round reads it of every prompt, and a question may be megabytes."""
    source: Mapped[str] = mapped_column(Text, default="")
    skill: Mapped[str | None] = mapped_column(String(32))
    """A `infra.settings.evaluation.Skill` that the dataset named; NULL leaves it to the domain."""
    quarantined: Mapped[str | None] = mapped_column(Text)
    """Why a suspicious prompt is kept out until someone looks at it; NULL if it is not kept out."""
    rerouted_at: Mapped[datetime | None]
    """When an operator last chose its scorer. Ingesting the prompt again then leaves that choice as it is."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class PromptReference(Base):
    """The origin of a reference that a reward model picked. Its text is in the prompt's question too, best first."""

    __tablename__ = "prompt_references"

    prompt_id: Mapped[str] = mapped_column(ForeignKey("prompts.id"), primary_key=True)
    rank: Mapped[int] = mapped_column(Integer, primary_key=True)
    """Place among the prompt's references, from 0."""
    text: Mapped[str] = mapped_column(Text)
    score: Mapped[float] = mapped_column(Float)
    """The sigmoid of its reward; it compares responses to one prompt."""
    scorer: Mapped[str] = mapped_column(String(64))
    scorer_version: Mapped[str] = mapped_column(String(256))
    policy: Mapped[str] = mapped_column(String(64))
    """Digest of the weights that wrote it."""
    run_id: Mapped[str] = mapped_column(String(64))
    rollout_id: Mapped[str] = mapped_column(String(160))
    responses: Mapped[int] = mapped_column(Integer)
    """Number of responses that it was picked from."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
