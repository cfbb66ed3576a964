"""One running continuation, with its tokens so far."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from streams.messages import VersionSpan
from workers.engines.base import Generation, GenerationRequest, WeightVersion
from workers.engines.sampling import stream_of


@dataclass(slots=True)
class RunningRow:
    """Invariant: there are as many log-probs as tokens, and the counts of the version spans add up to that number."""

    request: GenerationRequest
    index: int
    stream: int
    started: float
    token_ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    versions: list[WeightVersion] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    finish_reason: str = ""
    """Empty while the row runs."""

    def append(self, token: int, logprob: float, version: WeightVersion, end_tokens: frozenset[int]) -> None:
        self.token_ids.append(token)
        self.logprobs.append(logprob)
        if not self.versions or self.versions[-1] != version:
            self.versions.append(version)
            self.counts.append(0)
        self.counts[-1] += 1
        if token in end_tokens:
            self.finish_reason = "stop"
        elif len(self.token_ids) >= self.request.sampling.max_new_tokens:
            self.finish_reason = "length"

    def generation(self) -> Generation:
        return Generation(
            key=self.request.key,
            index=self.index,
            token_ids=tuple(self.token_ids),
            logprobs=tuple(self.logprobs),
            spans=spans_of(self.versions, self.counts),
            finish_reason=self.finish_reason,
            started=self.started,
            finished=time.time(),
        )


def start_row(request: GenerationRequest, index: int) -> RunningRow:
    return RunningRow(request, index, stream_of(request.sampling.seed, request.key, index), time.time())


def spans_of(versions: Sequence[WeightVersion], counts: Sequence[int]) -> tuple[VersionSpan, ...]:
    return tuple(
        VersionSpan(version.lineage, version.version, count) for version, count in zip(versions, counts, strict=True)
    )


def check_request(request: GenerationRequest, max_tokens: int) -> None:
    """Raises ValueError if the request cannot be generated within `max_tokens` of context."""
    asked = request.sampling.max_new_tokens
    if request.samples < 1 or asked < 1 or not request.prompt_token_ids:
        raise ValueError(
            f"request {request.key}: needs at least one sample ({request.samples}), one new token ({asked}) and one "
            f"prompt token ({len(request.prompt_token_ids)})"
        )
    if len(request.prompt_token_ids) + asked > max_tokens:
        raise ValueError(
            f"request {request.key}: {len(request.prompt_token_ids)} prompt tokens and {asked} new ones exceed the "
            f"context of {max_tokens}; shorten the prompt or raise rollout.engine.max_model_tokens"
        )
