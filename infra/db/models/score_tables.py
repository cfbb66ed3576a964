"""Scores of rollouts, and the statistics per prompt that follow from them.

Invariant: every row that a stream writes has an id that makes writing it twice the same as once.
"""

from datetime import datetime

from sqlalchemy import Float, Index, Integer, String, Text, false, func
from sqlalchemy import text as sql
from sqlalchemy.orm import Mapped, mapped_column

from infra.db.models.table_base import Base


class Score(Base):
    """One row per scored rollout and scorer. The statistics change only for rows that were inserted.

    An index here is paid for with every score, so the scores of a prompt are found through its groups.
    """

    __tablename__ = "scores"
    __table_args__ = (
        Index("ix_scores_group", "group_id"),
        Index("ix_scores_run", "run_id", postgresql_using="brin"),
        Index("ix_scores_shadow", "run_id", postgresql_where=sql("shadow")),
    )

    rollout_id: Mapped[str] = mapped_column(String(160), primary_key=True)
    route: Mapped[str] = mapped_column(String(16), primary_key=True)
    """A `streams.messages.Route`, or `rescored`: scored again afterwards, which does not change the statistics."""
    scorer: Mapped[str] = mapped_column(String(64), primary_key=True)
    scorer_version: Mapped[str] = mapped_column(String(256), primary_key=True)
    """Version of the scorer; a judge's version names its model and every option that changes a score."""
    run_id: Mapped[str] = mapped_column(String(64))
    group_id: Mapped[str] = mapped_column(String(128))
    prompt_id: Mapped[str] = mapped_column(String(64))
    domain: Mapped[str] = mapped_column(String(64))
    purpose: Mapped[str] = mapped_column(String(16))
    policy_version: Mapped[int] = mapped_column(Integer)
    score: Mapped[float | None] = mapped_column(Float)
    status: Mapped[str] = mapped_column(String(16))
    why: Mapped[str] = mapped_column(Text)
    text: Mapped[str | None] = mapped_column(Text)
    """The response, as the sink keeps it (`infra.db.sink.score_row`); NULL if only the log has it."""
    response_tokens: Mapped[int] = mapped_column(Integer)
    seconds: Mapped[float] = mapped_column(Float)
    scored_at: Mapped[datetime]
    shadow: Mapped[bool] = mapped_column(server_default=false())
    """Whether the score is not a reward: it comes from the other route, for calibration, or from a rescore."""
    judged: Mapped[float | None] = mapped_column(Float)
    """The judge's own score, if a veto set the rollout's score to 0."""
    surprisal: Mapped[float | None] = mapped_column(Float)
    """Mean of -log p over the response's tokens, in nats: an unbiased estimate of the entropy per token of the policy
    that sampled it, at its temperature. NULL if the response has no log-probabilities."""
    answer: Mapped[str | None] = mapped_column(Text)
    """The answer that the verifier read in the response; NULL if it read none, or is not one that reads answers."""


class PromptStats(Base):
    """Running statistics of a prompt on one route in one run, as `infra.db.statistics` defines them. Another run's
    policy would be another measurement.
    """

    __tablename__ = "prompt_stats"

    run_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    prompt_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    route: Mapped[str] = mapped_column(String(16), primary_key=True)
    count: Mapped[int] = mapped_column(Integer)
    mean: Mapped[float] = mapped_column(Float)
    m2: Mapped[float] = mapped_column(Float)
    passes: Mapped[int] = mapped_column(Integer)
    """Scores above 0.5."""
    successes: Mapped[float] = mapped_column(Float)
    """Decayed sum of the scores, as of `evidence_version`. Seen from version w with decay l, the posterior is
    Beta(1 + l^(w - evidence_version) successes, 1 + l^(w - evidence_version) failures)."""
    failures: Mapped[float] = mapped_column(Float)
    """Decayed sum of 1 - score, as of `evidence_version`."""
    evidence_version: Mapped[int] = mapped_column(Integer)
    """Newest policy version of a score."""
    last: Mapped[float] = mapped_column(Float, server_default=sql("0"))
    """The score that came last."""
    repeats: Mapped[int] = mapped_column(Integer, server_default=sql("0"))
    """How many scores up to the last are equal to it. Divided by the size of a group, it is the number of consecutive
    groups without spread."""
    wrong_answer: Mapped[str | None] = mapped_column(Text)
    """The answer that most wrong responses give, if more than half of them agree (Boyer and Moore's majority vote)."""
    wrong_votes: Mapped[int] = mapped_column(Integer, server_default=sql("0"))
    """Wrong responses that gave `wrong_answer`, minus those that others cancelled."""
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())
