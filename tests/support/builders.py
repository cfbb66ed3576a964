"""Messages and groups for the learner's tests, made the way the rollout worker makes them."""

from collections.abc import Sequence

from streams.arrays import pack_logprobs, pack_tokens
from streams.messages import (
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
SAMPLING = Sampling(temperature=1.0, max_new_tokens=8)
QUESTION = Question(prompt="2+2?", verifier="math", ground_truth="4")


def ticket(seq: int, *, samples: int = 2, purpose: Purpose = Purpose.TRAIN, deadline: float = 1e12) -> PromptTicket:
    return PromptTicket(
        run_id=RUN,
        group_id=group_id(RUN, seq),
        seq=seq,
        prompt_id=f"p{seq}",
        domain="mathematics",
        purpose=purpose,
        samples=samples,
        messages=({"role": "user", "content": "2+2?"},),
        question=QUESTION,
        sampling=SAMPLING,
        deadline=deadline,
        dispatched_at=0.0,
    )


def scored(
    seq: int,
    index: int,
    score: float | None,
    *,
    size: int = 2,
    tokens: Sequence[int] = (5, 6, 7),
    prompt: Sequence[int] = (1, 2, 3),
    logprobs: Sequence[float] | None = None,
    spans: Sequence[VersionSpan] | None = None,
    purpose: Purpose = Purpose.TRAIN,
    route: Route = Route.RTV,
    deadline: float = 1e12,
) -> ScoredTrajectory:
    group = group_id(RUN, seq)
    rollout = Rollout(
        run_id=RUN,
        group_id=group,
        rollout_id=rollout_id(group, index),
        seq=seq,
        prompt_id=f"p{seq}",
        domain="mathematics",
        purpose=purpose,
        index=index,
        group_size=size,
        segments=(
            Segment(source=Source.PROMPT, token_ids=pack_tokens(prompt)),
            Segment(
                source=Source.POLICY,
                token_ids=pack_tokens(tokens),
                logprobs=pack_logprobs(logprobs if logprobs is not None else [-1.0] * len(tokens)),
            ),
        ),
        spans=tuple(spans) if spans is not None else (VersionSpan(0, 0, len(tokens)),),
        finish_reason="stop",
        text="4",
        question=QUESTION,
        sampling=SAMPLING,
        timings=Timings(dispatched=0.0, started=0.0, finished=0.0),
        deadline=deadline,
    )
    return ScoredTrajectory(
        rollout=rollout,
        score=score,
        status=Status.INFRA_ERROR if score is None else Status.CORRECT if score > 0.5 else Status.WRONG,
        why="",
        route=route,
        scorer="math",
        scorer_version="1",
        seconds=0.0,
        scored_at=0.0,
    )
