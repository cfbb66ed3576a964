"""Builds the engine's request from a ticket, a rollout from its generation, or the verdict on one that is not there."""

from streams.arrays import pack_logprobs, pack_tokens
from streams.messages import (
    PromptTicket,
    Question,
    Rollout,
    ScoredTrajectory,
    Segment,
    Source,
    Status,
    Timings,
    rollout_id,
)
from streams.route_headers import route_of
from workers.engines.base import Generation, GenerationRequest

_WHY_CHARACTERS = 2000
"""Longest reason that a verdict keeps: an error may quote all of a prompt."""


def build_request(ticket: PromptTicket, prompt_token_ids: tuple[int, ...]) -> GenerationRequest:
    return GenerationRequest(ticket.group_id, prompt_token_ids, ticket.samples, ticket.sampling)


def build_rollout(
    ticket: PromptTicket, prompt_token_ids: tuple[int, ...], generation: Generation, text: str, engine: str
) -> Rollout:
    """Builds a single turn: the segments of prompt and policy, with the engine's own token ids."""
    return Rollout(
        run_id=ticket.run_id,
        group_id=ticket.group_id,
        rollout_id=rollout_id(ticket.group_id, generation.index),
        seq=ticket.seq,
        prompt_id=ticket.prompt_id,
        domain=ticket.domain,
        purpose=ticket.purpose,
        index=generation.index,
        group_size=ticket.samples,
        segments=(
            Segment(source=Source.PROMPT, token_ids=pack_tokens(prompt_token_ids)),
            Segment(
                source=Source.POLICY,
                token_ids=pack_tokens(generation.token_ids),
                logprobs=pack_logprobs(generation.logprobs),
            ),
        ),
        spans=generation.spans,
        finish_reason=generation.finish_reason,
        text=text,
        question=ticket.question,
        sampling=ticket.sampling,
        timings=Timings(dispatched=ticket.dispatched_at, started=generation.started, finished=generation.finished),
        deadline=ticket.deadline,
        engine=engine,
    )


def build_failure(ticket: PromptTicket, index: int, why: str, now: float) -> ScoredTrajectory:
    """Builds the verdict `infra_error` on a sample that cannot be generated or published, so that the learner closes
    its group as failed at once. It carries no content, so it always fits a record. `now`: Unix seconds.
    """
    started = max(ticket.dispatched_at, now)
    rollout = Rollout(
        run_id=ticket.run_id,
        group_id=ticket.group_id,
        rollout_id=rollout_id(ticket.group_id, index),
        seq=ticket.seq,
        prompt_id=ticket.prompt_id,
        domain=ticket.domain,
        purpose=ticket.purpose,
        index=index,
        group_size=ticket.samples,
        segments=(),
        spans=(),
        finish_reason="",
        text="",
        question=Question(prompt="", verifier=ticket.question.verifier),
        sampling=ticket.sampling,
        timings=Timings(dispatched=ticket.dispatched_at, started=started, finished=started),
        deadline=ticket.deadline,
    )
    return ScoredTrajectory(
        rollout=rollout,
        score=None,
        status=Status.INFRA_ERROR,
        why=why[:_WHY_CHARACTERS],
        route=route_of(ticket.question),
        scorer="rollout",
        scorer_version="1",
        seconds=0.0,
        scored_at=now,
    )
