"""One way to make each message of the loop: sensible values, of which a test changes those it is about.

`examples` holds other messages: complete ones, whose bytes are kept in golden files.
"""

from collections.abc import Sequence
from typing import Any

from streams.arrays import pack_logprobs, pack_tokens
from streams.messages import (
    GroupClosed,
    LineageStarted,
    Outcome,
    PolicyVersion,
    PromptTicket,
    Purpose,
    Question,
    Rollout,
    Route,
    Sampling,
    ScoredTrajectory,
    Segment,
    Source,
    Status,
    Timings,
    VersionSpan,
    group_id,
    rollout_id,
)

RUN = "run"
QUESTION = Question(prompt="2+2?", verifier="math", ground_truth="4")
SAMPLING = Sampling(temperature=1.0, max_new_tokens=8)
NEVER = 2e11
"""A deadline that does not pass."""


def ticket(seq: int, *, run_id: str = RUN, **changes: Any) -> PromptTicket:
    fields: dict[str, Any] = {
        "group_id": group_id(run_id, seq),
        "prompt_id": f"p{seq}",
        "domain": "mathematics",
        "purpose": Purpose.TRAIN,
        "samples": 2,
        "messages": ({"role": "user", "content": "2+2?"},),
        "question": QUESTION,
        "sampling": SAMPLING,
        "deadline": NEVER,
        "dispatched_at": 0.0,
    }
    return PromptTicket(**{"run_id": run_id, "seq": seq, **fields, **changes})


def rollout(
    seq: int,
    index: int,
    *,
    run_id: str = RUN,
    prompt: Sequence[int] = (1, 2, 3),
    tokens: Sequence[int] = (5, 6, 7),
    logprobs: Sequence[float] | None = None,
    spans: Sequence[VersionSpan] | None = None,
    **changes: Any,
) -> Rollout:
    """A prompt's tokens, then the policy's `tokens`: all by version 0, unless `spans` says otherwise."""
    group = group_id(run_id, seq)
    sampled = [-1.0] * len(tokens) if logprobs is None else logprobs
    fields: dict[str, Any] = {
        "group_id": group,
        "rollout_id": rollout_id(group, index),
        "prompt_id": f"p{seq}",
        "domain": "mathematics",
        "purpose": Purpose.TRAIN,
        "group_size": max(2, index + 1),
        "segments": (
            Segment(source=Source.PROMPT, token_ids=pack_tokens(prompt)),
            Segment(source=Source.POLICY, token_ids=pack_tokens(tokens), logprobs=pack_logprobs(sampled)),
        ),
        "spans": (VersionSpan(0, 0, len(tokens)),) if spans is None else tuple(spans),
        "finish_reason": "stop",
        "text": "4",
        "question": QUESTION,
        "sampling": SAMPLING,
        "timings": Timings(dispatched=0.0, started=0.0, finished=0.0),
        "deadline": NEVER,
    }
    return Rollout(**{"run_id": run_id, "seq": seq, "index": index, **fields, **changes})


def rollout_of(asked: PromptTicket, index: int, **changes: Any) -> Rollout:
    """The ticket's sample `index`, as a rollout worker would have made it."""
    same = ("group_id", "prompt_id", "domain", "purpose", "question", "sampling", "deadline")
    fields = {name: getattr(asked, name) for name in same}
    return rollout(asked.seq, index, **{"run_id": asked.run_id, "group_size": asked.samples, **fields, **changes})


def verdict(of: Rollout, score: float | None, **changes: Any) -> ScoredTrajectory:
    """None is a verdict without a score: an infra_error."""
    fields: dict[str, Any] = {
        "status": Status.INFRA_ERROR if score is None else Status.CORRECT if score > 0.5 else Status.WRONG,
        "why": "",
        "route": Route.RTV,
        "scorer": "math",
        "scorer_version": "1",
        "seconds": 0.0,
        "scored_at": 0.0,
    }
    return ScoredTrajectory(rollout=of, score=score, **{**fields, **changes})


def scored(
    seq: int, index: int, score: float | None, *, route: Route = Route.RTV, **rollout_changes: Any
) -> ScoredTrajectory:
    return verdict(rollout(seq, index, **rollout_changes), score, route=route)


def closed(seq: int, ordinal: int, outcome: Outcome = Outcome.TRAINED, **changes: Any) -> GroupClosed:
    run_id = changes.get("run_id", RUN)
    fields: dict[str, Any] = {
        "run_id": run_id,
        "group_id": group_id(run_id, seq),
        "purpose": Purpose.TRAIN,
        "reason": "",
        "lineage": 1,
        "version": 1,
        "staleness": 0 if outcome is Outcome.TRAINED else None,
        "mean_score": None,
        "closed_at": 0.0,
    }
    return GroupClosed(**{"seq": seq, "ordinal": ordinal, "outcome": outcome, **fields, **changes})


def started(lineage: int, ordinal: int, *, run_id: str = RUN, version: int = 0, at: float = 0.0) -> LineageStarted:
    return LineageStarted(run_id=run_id, lineage=lineage, version=version, ordinal=ordinal, started_at=at)


def announced(version: int, *, lineage: int = 0, run_id: str = RUN, uri: str = "u", sha256: str = "s") -> PolicyVersion:
    return PolicyVersion(
        run_id=run_id, lineage=lineage, version=version, uri=uri, sha256=sha256, step=version, announced_at=0.0
    )


Keyed = PromptTicket | Rollout | ScoredTrajectory | GroupClosed | LineageStarted | PolicyVersion


def key_of(message: Keyed) -> str:
    """The record's key, as the services choose it: a group stays in one partition."""
    match message:
        case ScoredTrajectory():
            return message.rollout.group_id
        case LineageStarted():
            return message.run_id
        case PolicyVersion():
            return f"{message.run_id}:{message.lineage}"
        case _:
            return message.group_id
