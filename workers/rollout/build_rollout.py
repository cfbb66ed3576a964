"""Builds the engine's request from a ticket, and a rollout from the engine's generation. Pure."""

from streams.arrays import pack_logprobs, pack_tokens
from streams.messages import PromptTicket, Rollout, Segment, Source, Timings, rollout_id
from workers.engines.base import Generation, GenerationRequest


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
