"""The messages of the loop: what flows on each topic, as typed MessagePack structs.

Invariant: changes are additive. A field is added with a default, never renamed, re-typed or removed, so that
every message ever written stays readable. Token ids and log-probabilities travel as raw little-endian int32
and float32 bytes (`streams.arrays`), which keeps decoding flat in their number.

Identity is deterministic: a group is `{run_id}:{seq}`, a rollout `{group_id}/{index}`. A rollout that
is produced twice has the same id, and every consumer keeps the first one that it reads in its partition.

Bounds of single fields are part of their types, so a message out of bounds does not decode anywhere. NaN is out of
every bound. Rules over several fields are in `streams.validate`.
"""

from enum import StrEnum
from typing import Annotated, Any

import msgspec
from msgspec import Meta

SCHEMA_VERSION = 1

Int31 = Annotated[int, Meta(ge=0, le=2**31 - 1)]
"""Counts and versions: they are `integer` in Postgres."""
Int63 = Annotated[int, Meta(ge=0, le=2**63 - 2)]
"""Positions, whose successor is still a `bigint` in Postgres."""
LARGEST_GROUP = 2**16
"""Samples of a group: far more than any recipe takes, and few enough to count them out."""
Samples = Annotated[int, Meta(ge=1, le=LARGEST_GROUP)]
SampleIndex = Annotated[int, Meta(ge=0, lt=LARGEST_GROUP)]
Score01 = Annotated[float, Meta(ge=0, le=1)]
UnixSeconds = Annotated[float, Meta(ge=0, le=253_402_300_799)]
"""To the end of the year 9999, where dates in Python end."""
Duration = Annotated[float, Meta(ge=0, le=1e9)]
"""Seconds, at most thirty years."""


class Purpose(StrEnum):
    """The reason for which a group is generated."""

    TRAIN = "train"
    ASSESS = "assess"
    """Difficulty measurement for Pre-PPO; never trained on."""
    EVAL = "eval"
    """Held-out measurement; never trained on."""


class Route(StrEnum):
    """The kind of scorer that judges a rollout."""

    RTV = "rtv"
    GENRM = "genrm"


class Source(StrEnum):
    """Who made a segment. Only policy segments carry loss."""

    PROMPT = "prompt"
    POLICY = "policy"
    ENVIRONMENT = "environment"


class Status(StrEnum):
    """The finding of a scorer. `score` is None exactly for `INFRA_ERROR`."""

    CORRECT = "correct"
    WRONG = "wrong"
    JUDGED = "judged"
    """A graded score in [0, 1], as from a judge or a rubric."""
    UNPARSEABLE = "unparseable"
    TIMEOUT = "timeout"
    OOM = "oom"
    INFRA_ERROR = "infra_error"


JUDGED_DETAIL = "judged"
"""Key in a vetoed verdict's details: the judge's score, if the judge was asked."""
ANSWER_DETAIL = "answer"
"""Key in a verdict's details: the answer that the verifier read in the response, as text."""


class Outcome(StrEnum):
    """The outcome of a group. Every dispatched group ends with exactly one."""

    TRAINED = "trained"
    FILTERED = "filtered"
    """Complete but not trained on; the reason says why: zero_variance, cut_off (every response was cut off,
    and such responses carry no loss), or measured (assess and eval groups)."""
    STALE = "stale"
    EXPIRED = "expired"
    FAILED = "failed"


class WeightsKind(StrEnum):
    """The content of an announced folder."""

    FULL = "full"
    ADAPTER = "adapter"
    """A LoRA adapter in peft's format, over the weights that the engines started with."""


class Question(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All that the scorer is asked: a rollout can be scored again years later from this alone."""

    prompt: str
    """The last user turn, as text."""
    verifier: str | None = None
    """Name of an RTV verifier; None sends the rollout to GenRM."""
    veto: str | None = None
    """Name of a verifier that GenRM's judge cannot overrule: a response that it calls `wrong` scores 0."""
    ground_truth: str | None = None
    references: tuple[str, ...] = ()
    """Best-of-N references, best first, for prompts without ground truth."""
    options: dict[str, Any] = {}


class Sampling(msgspec.Struct, frozen=True, kw_only=True):
    """The distribution that tokens are sampled from. Behaviour log-probs are log-probs under this distribution."""

    temperature: Annotated[float, Meta(ge=0, le=1e6)]
    """0 means greedy; the log-probabilities are then those at temperature 1."""
    max_new_tokens: Annotated[int, Meta(ge=1, le=2**31 - 1)]
    top_p: Annotated[float, Meta(gt=0, le=1)] = 1.0
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 0


class PromptTicket(msgspec.Struct, frozen=True, kw_only=True):
    """Topic `prompts`: one group to generate."""

    run_id: str
    group_id: str
    seq: Int63
    """Position in the run's dispatch order, contiguous from 0 over all purposes."""
    prompt_id: str
    domain: str
    purpose: Purpose
    samples: Samples
    messages: tuple[dict[str, str], ...]
    """Chat turns, each with `role` and `content`."""
    question: Question
    sampling: Sampling
    deadline: UnixSeconds
    """Unix seconds after which the group is expired."""
    dispatched_at: UnixSeconds
    min_version: Int31 = 0
    """Lowest policy version that the worker must hold before it starts this group."""
    weights: "PolicyVersion | None" = None
    """The announced version that makes every token of the group; None takes the newest, which may change meanwhile."""


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    source: Source
    token_ids: bytes
    """int32 little-endian."""
    logprobs: bytes = b""
    """float32 little-endian, one per token, under the sampling distribution; empty unless the policy made the
    segment."""


class VersionSpan(msgspec.Struct, frozen=True):
    """`tokens` consecutive policy tokens made by `version` of `lineage`."""

    lineage: Int31
    version: Int31
    tokens: Int31


class Timings(msgspec.Struct, frozen=True, kw_only=True):
    """Unix seconds."""

    dispatched: UnixSeconds
    started: UnixSeconds
    finished: UnixSeconds


class Rollout(msgspec.Struct, frozen=True, kw_only=True):
    """Topics `rollouts`, `rtv.requests`, `genrm.requests`: one sample of a group."""

    run_id: str
    group_id: str
    rollout_id: str
    seq: Int63
    prompt_id: str
    domain: str
    purpose: Purpose
    index: SampleIndex
    group_size: Samples
    segments: tuple[Segment, ...]
    spans: tuple[VersionSpan, ...]
    """Versions of the policy tokens, in order; together the spans cover every policy token once."""
    finish_reason: str
    """`stop` (end token) or `length`."""
    text: str
    """The policy's text, special tokens skipped."""
    question: Question
    sampling: Sampling
    timings: Timings
    deadline: UnixSeconds
    engine: str = ""


class ScoredTrajectory(msgspec.Struct, frozen=True, kw_only=True):
    """Topic `scored`: self-contained, a learner trains from it without a join."""

    rollout: Rollout
    score: Score01 | None
    """In [0, 1]; None exactly when status is infra_error."""
    status: Status
    why: str
    route: Route
    scorer: str
    scorer_version: str
    seconds: Duration
    scored_at: UnixSeconds
    details: dict[str, Any] = {}


class GroupClosed(msgspec.Struct, frozen=True, kw_only=True):
    """Topic `groups.closed`, written only by the learner: it frees the group's admission slot."""

    run_id: str
    group_id: str
    seq: Int63
    purpose: Purpose
    outcome: Outcome
    reason: str
    lineage: Int31
    ordinal: Int63
    """Counts the closings of the surviving history; a resumed learner continues from its checkpoint's count,
    so a later lineage overrides the earlier ones from its first ordinal on."""
    version: Int31
    """The version the learner held when it closed the group (for `trained`: the version the step made)."""
    staleness: Int31 | None
    """Versions between the oldest token and the step; None if the group was not trained."""
    mean_score: Score01 | None
    closed_at: UnixSeconds


class LineageStarted(msgspec.Struct, frozen=True, kw_only=True):
    """Topic `groups.closed`: a learner (re)started and claims a lineage. If the claim counts
    (`trainer.curriculum.lineages`), closings of earlier lineages with an ordinal at or above `ordinal` are abandoned:
    their updates are not in the surviving model.
    """

    run_id: str
    lineage: Int31
    version: Int31
    ordinal: Int63
    started_at: UnixSeconds
    follows: Annotated[int, Meta(ge=-1, le=2**31 - 1)] | None = None
    """The newest lineage in the log when the learner made the claim, -1 if there was none. The claim counts only if
    that lineage is still the newest where the claim stands. None, as in older messages, stands for `lineage` - 1."""
    learner: str = ""
    """Who made the claim: host, process id, and a random part that no other learner has."""


class PolicyVersion(msgspec.Struct, frozen=True, kw_only=True):
    """Topic `policy.versions`: announced once its files are in place. The highest lineage wins, and in it the newest
    announcement.
    """

    run_id: str
    lineage: Int31
    version: Int31
    uri: str
    """A folder that transformers, peft and vLLM load: a path, or a URL of fsspec."""
    sha256: str
    """Digest of `model.safetensors`, of the index if the weights are in several files, or of an adapter's
    `adapter_model.safetensors`."""
    step: Int31
    announced_at: UnixSeconds
    kind: WeightsKind = WeightsKind.FULL
    files: dict[str, str] = {}
    """sha256 of every file of the folder, by name; empty if the message is older than this field."""


def without_content(rollout: Rollout) -> Rollout:
    """Returns the rollout without its segments and text, which are nearly all of its bytes."""
    return msgspec.structs.replace(rollout, segments=(), text="")


def group_id(run_id: str, seq: int) -> str:
    return f"{run_id}:{seq}"


def rollout_id(group: str, index: int) -> str:
    return f"{group}/{index}"
