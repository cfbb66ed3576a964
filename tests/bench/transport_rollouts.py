"""Rollouts of a benchmark of the transport: what a worker has when a response ends, and the bytes it publishes."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from streams.codec import encode, headers_of
from streams.messages import PromptTicket, Purpose, Question, Rollout, Sampling, VersionSpan, group_id
from streams.route_headers import route_headers
from workers.engines.base import Generation
from workers.rollout.build_rollout import build_rollout

GROUP = 8
PROMPT_TOKENS = 100
CHARACTERS_A_TOKEN = 4
RUN = "bench"
DISTINCT = 16
"""Responses drawn; a group takes them in turn. Drawing more would only take time and memory."""


@dataclass(frozen=True)
class Draw:
    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    text: str


class Rollouts:
    """Groups of `GROUP` responses of `tokens` tokens, the same ones for the same arguments."""

    def __init__(self, tokens: int, groups: int) -> None:
        self._tokens = tokens
        self._groups = groups
        random = np.random.default_rng(0)
        self._prompt = tuple(random.integers(0, 150_000, PROMPT_TOKENS).tolist())
        self._draws = [_draw(random, tokens) for _ in range(DISTINCT)]

    def build(self) -> Iterator[Rollout]:
        """Builds each from the engine's numbers, as the worker does."""
        for seq in range(self._groups):
            ticket = self._ticket(seq)
            for index in range(GROUP):
                draw = self._draws[(seq + index) % DISTINCT]
                yield build_rollout(ticket, self._prompt, self._generation(ticket, index, draw), draw.text, "hf")

    def _ticket(self, seq: int) -> PromptTicket:
        question = Question(prompt="What is the sum?" * 10, verifier="math", ground_truth="12")
        return PromptTicket(
            run_id=RUN,
            group_id=group_id(RUN, seq),
            seq=seq,
            prompt_id=f"prompt-{seq}",
            domain="mathematics",
            purpose=Purpose.TRAIN,
            samples=GROUP,
            messages=({"role": "user", "content": question.prompt},),
            question=question,
            sampling=Sampling(temperature=1.0, max_new_tokens=self._tokens),
            deadline=1e11,
            dispatched_at=0.0,
        )

    def _generation(self, ticket: PromptTicket, index: int, draw: Draw) -> Generation:
        spans = (VersionSpan(0, 0, self._tokens),)
        return Generation(ticket.group_id, index, draw.token_ids, draw.logprobs, spans, "stop", 0.0, 1.0)


def _draw(random: np.random.Generator, tokens: int) -> Draw:
    logprobs = np.log(random.random(tokens)).astype(np.float32)
    text = bytes(random.integers(97, 123, CHARACTERS_A_TOKEN * tokens).astype(np.uint8)).decode()
    return Draw(tuple(random.integers(0, 150_000, tokens).tolist()), tuple(logprobs.tolist()), text)


def write_records(rollouts: Rollouts, file: Path) -> int:
    """Writes (key, value, headers) of each record as the worker publishes it, as MessagePack; returns the values'
    bytes.
    """
    records = []
    for rollout in rollouts.build():
        headers = headers_of(rollout, **route_headers(rollout.question))
        records.append((rollout.group_id.encode(), encode(rollout), headers))
    file.write_bytes(msgspec.msgpack.encode(records))
    return sum(len(value) for _, value, _ in records)
