"""The tables in Postgres as typed models of SQLAlchemy 2: everything that is queried, explained and joined.

Invariant: every row that a stream writes has an id that makes writing it twice the same as once.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    REAL,
    BigInteger,
    Computed,
    DateTime,
    Float,
    ForeignKey,
    Identity,
    Index,
    Integer,
    String,
    Text,
    false,
    func,
)
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

_ROUTE = (
    "CASE WHEN question ->> 'verifier'::text IS NOT NULL THEN 'rtv'::text"
    " WHEN question ->> 'ground_truth'::text IS NOT NULL OR question -> 'references'::text ->> 0 IS NOT NULL"
    " THEN 'genrm'::text ELSE NULL::text END"
)
"""It is written with the types that Postgres adds, so that the models and a migrated database compare as equal."""


class Base(DeclarativeBase):
    type_annotation_map = {dict[str, Any]: JSONB, list[Any]: JSONB, datetime: DateTime(timezone=True)}  # noqa: RUF012 (SQLAlchemy's own form)


class Run(Base):
    __tablename__ = "runs"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    phase: Mapped[str] = mapped_column(String(32))
    """One of the selector's phases: eval_before, preppo, train, drain, eval_after, finished; or `evaluate`, in a run of
    `rewardstream evaluate`."""
    settings: Mapped[dict[str, Any]]
    train_started_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    finished_at: Mapped[datetime | None]


class Prompt(Base):
    __tablename__ = "prompts"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    """Content hash: the same prompt ingested twice is one row."""
    number: Mapped[int] = mapped_column(BigInteger, Identity(always=True), unique=True)
    """The prompt in the table `selections`, which has a row per prompt and round: an eighth of the id's size, and
    ascending in the order of the rows, which makes an index over a million of them five times as fast to write."""
    domain: Mapped[str] = mapped_column(String(64), index=True)
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


class RunPrompt(Base):
    """The prompts that a run draws from. A run without a row here draws from all prompts."""

    __tablename__ = "run_prompts"

    run_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    prompt_id: Mapped[str] = mapped_column(ForeignKey("prompts.id"), primary_key=True)


class Group(Base):
    """The dispatch outbox and the state of admission. A row is committed before its ticket is produced."""

    __tablename__ = "groups"
    __table_args__ = (
        Index("ix_groups_run_outcome", "run_id", "outcome"),
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
    ticket: Mapped[bytes]
    """The encoded PromptTicket, which is produced again if its delivery was not confirmed."""
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
    text: Mapped[str] = mapped_column(Text)
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


class DispatchFactors(Base):
    """Factors on the dispatch shares of some domains, which the guard's alarms set, from one group on."""

    __tablename__ = "dispatch_factors"

    run_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    from_seq: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """`Group.seq` of the first group that they apply to."""
    factors: Mapped[dict[str, Any]]
    """Domain -> factor. Domains that are not named have the factor 1."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class StreamOffset(Base):
    """The next offset that a Postgres sink reads, written in the same transaction as its rows."""

    __tablename__ = "stream_offsets"

    consumer_group: Mapped[str] = mapped_column(String(128), primary_key=True)
    topic: Mapped[str] = mapped_column(String(255), primary_key=True)
    partition: Mapped[int] = mapped_column(Integer, primary_key=True)
    next_offset: Mapped[int] = mapped_column(BigInteger)
