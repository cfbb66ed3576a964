"""The judge's model behind an OpenAI-compatible server: one token with log-probs, or sampled votes.

Invariant: whatever goes wrong with the server or its answer becomes a JudgeFailure of the prompts concerned, with the
reason, no later than `timeout_seconds` after the call; other prompts keep their answers.
"""

import asyncio
import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from workers.judges.base import JudgeFailure
from workers.judges.capabilities import ServerAccess, logprobs, path, probe, request
from workers.judges.completions import (
    logprobs_body,
    parse_chat_logprobs,
    parse_choices,
    parse_completion_logprobs,
    parse_probabilities,
    parse_samples,
)
from workers.judges.endpoint import (
    Endpoint,
    EndpointError,
    GarbledError,
    GoneError,
    MissingError,
    NonsenseError,
    OutageError,
    RefusedError,
)
from workers.judges.judging_scheme import JudgingScheme, Voting
from workers.judges.loop_thread import LoopClosedError, LoopThread
from workers.judges.prefix_cache import CacheTokens, cache_tokens, hit_rate
from workers.judges.prompt import JudgePrompt
from workers.judges.verdicts import Scale, VerdictProbabilities
from workers.judges.voting import read_votes

PROMPTS = 16
"""Prompts per request to /completions: no more fail together, and the server batches requests that arrive together."""
_LEAST_FIELD_CHARS = 256
"""Below this length of a field, a refused prompt is not cut again: its length was not the reason."""
_METRICS_SECONDS = 5.0

Found = VerdictProbabilities | JudgeFailure


@dataclass(frozen=True, slots=True)
class _Call:
    """One call of `read` or `vote`."""

    access: ServerAccess
    max_field_chars: int | None
    voting: Voting | None
    deadline: float


class OpenAIModel:
    """Implements workers.judges.model.VerdictModel."""

    name = "genrm-openai"

    def __init__(
        self,
        endpoint: str,
        model: str,
        scheme: JudgingScheme,
        *,
        api: str = "auto",
        api_key: str = "",
        timeout_seconds: float = 60.0,
        connections: int = 16,
    ) -> None:
        """`api` is that of workers.judges.capabilities.probe. The server is not contacted before the first call."""
        self._endpoint = Endpoint(endpoint, api_key, connections)
        self._model = model
        self._scales = scheme.scales
        self._api = api
        self._timeout = timeout_seconds
        self._access: ServerAccess | None = None
        self._tokens: CacheTokens | None = None
        self._loop = LoopThread("judge")

    def version(self, tag: str) -> str:
        return f"{self._model}-{tag}" + ("-chat" if self._api == "chat" else "")

    def read(self, prompts: Sequence[JudgePrompt], max_field_chars: int | None) -> list[Found]:
        return self._ask_blocking(prompts, max_field_chars, None)

    def vote(self, prompts: Sequence[JudgePrompt], max_field_chars: int | None, voting: Voting) -> list[Found]:
        return self._ask_blocking(prompts, max_field_chars, voting)

    def prefix_hit_rate(self) -> float | None:
        try:
            before, self._tokens = self._tokens, self._loop.run(self._fetch_cache_tokens())
        except LoopClosedError:
            return None
        return None if self._tokens is None else hit_rate(before, self._tokens)

    def close(self) -> None:
        self._loop.close(self._endpoint.close())

    def _ask_blocking(
        self, prompts: Sequence[JudgePrompt], max_field_chars: int | None, voting: Voting | None
    ) -> list[Found]:
        try:
            return self._loop.run(self._ask_all(prompts, max_field_chars, voting))
        except LoopClosedError as error:
            return [self._to_failure(OutageError(f"the judge was {error}"))] * len(prompts)

    async def _ask_all(
        self, prompts: Sequence[JudgePrompt], max_field_chars: int | None, voting: Voting | None
    ) -> list[Found]:
        deadline = time.monotonic() + self._timeout
        try:
            access = self._access = self._access or await probe(
                self._endpoint, self._model, self._api, self._scales, deadline
            )
        except EndpointError as error:
            return [self._to_failure(error)] * len(prompts)
        call = _Call(access, max_field_chars, voting, deadline)
        size = 1 if access.chat or voting else PROMPTS
        chunks = [part for own in _group_by_scale(prompts) for part in _split(own, size)]
        found = await asyncio.gather(*(self._ask_chunk(call, [prompts[place] for place in chunk]) for chunk in chunks))
        placed = dict(zip(chain(*chunks), chain(*found), strict=True))
        return [placed[place] for place in range(len(prompts))]

    async def _ask_chunk(self, call: _Call, prompts: Sequence[JudgePrompt]) -> list[Found]:
        """Returns one answer per prompt, in order; the prompts share a scale."""
        try:
            return await self._ask_server(call, prompts, call.max_field_chars)
        except RefusedError as error:
            if len(prompts) == 1:
                return [await self._ask_shortened(call, prompts[0], error)]
            return list(chain(*await asyncio.gather(*(self._ask_chunk(call, [prompt]) for prompt in prompts))))
        except EndpointError as error:
            if isinstance(
                error, GoneError | MissingError
            ):  # the next answer may not come from the server that was probed
                self._access = None
            return [self._to_failure(error)] * len(prompts)

    async def _ask_shortened(self, call: _Call, prompt: JudgePrompt, refused: RefusedError) -> Found:
        """Halves the fields of a refused prompt, which may be too long, until it is answered."""
        max_field_chars = min(call.max_field_chars or prompt.longest, prompt.longest) // 2
        error: EndpointError = refused
        while isinstance(error, RefusedError) and max_field_chars >= _LEAST_FIELD_CHARS:
            try:
                [found] = await self._ask_server(call, [prompt], max_field_chars)
            except EndpointError as again:
                error, max_field_chars = again, max_field_chars // 2
            else:
                return found
        return self._to_failure(error)

    async def _ask_server(
        self, call: _Call, prompts: Sequence[JudgePrompt], max_field_chars: int | None
    ) -> list[Found]:
        """Raises EndpointError."""
        chat, voting = call.access.chat, call.voting
        texts = [prompt.render(max_field_chars).text for prompt in prompts]
        ids = call.access.ids.get(prompts[0].scale)
        wanted = _votes_body(voting, texts[0]) if voting else logprobs(chat=chat) | logprobs_body(ids)
        body = request(self._model, texts, chat=chat) | wanted
        answer = await self._endpoint.post(path(self._endpoint, chat=chat), body, call.deadline)
        choices = parse_choices(answer, len(prompts), voting.votes if voting else 1)
        return [self._parse_choice(call, prompt, own) for prompt, own in zip(prompts, choices, strict=True)]

    def _parse_choice(self, call: _Call, prompt: JudgePrompt, choices: Sequence[Any]) -> Found:
        chat = call.access.chat
        try:
            if call.voting is None:
                top = (parse_chat_logprobs if chat else parse_completion_logprobs)(choices[0])
                return parse_probabilities(top, prompt.scale, call.access.ids.get(prompt.scale))
            return read_votes(parse_samples(choices, chat=chat), prompt.scale)
        except NonsenseError as error:
            return self._to_failure(error)

    async def _fetch_cache_tokens(self) -> CacheTokens | None:
        try:
            text = await self._endpoint.get(f"{self._endpoint.root}/metrics", time.monotonic() + _METRICS_SECONDS)
        except EndpointError:  # not vLLM, or down, as its next answers will show
            return None
        return cache_tokens(text)

    def _to_failure(self, error: Exception) -> JudgeFailure:
        why = f"judge {self._model} at {self._endpoint.base}: {error}"
        if isinstance(error, OutageError):
            return JudgeFailure(why, outage=True, retry_after=error.retry_after)
        return JudgeFailure(why, outage=isinstance(error, MissingError), garbled=isinstance(error, GarbledError))


def _group_by_scale(prompts: Sequence[JudgePrompt]) -> list[list[int]]:
    """Returns the indices of prompts that share a scale, together: a request has one set of verdict tokens."""
    places: dict[Scale, list[int]] = {}
    for place, prompt in enumerate(prompts):
        places.setdefault(prompt.scale, []).append(place)
    return list(places.values())


def _split(places: Sequence[int], size: int) -> list[Sequence[int]]:
    return [places[start : start + size] for start in range(0, len(places), size)]


def _votes_body(voting: Voting, text: str) -> dict[str, Any]:
    """The seed depends on the prompt alone, so a server that honours it gives the same prompt the same votes."""
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1
    return {"n": voting.votes, "temperature": voting.temperature, "max_tokens": voting.max_tokens, "seed": seed}
