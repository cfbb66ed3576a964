"""The spans of a rollout worker: one per group that it works on, and one per response.

Invariant: a group has a span exactly while it is in the worker's book, as of the last `settle`. Nothing is kept while
tracing is off.
"""

from collections.abc import Sized
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from infra.tracing.names import Attribute, SpanName
from infra.tracing.spans import TRACEPARENT, active
from streams.messages import PromptTicket, Rollout, Source
from streams.records import Record
from streams.topics import Topic
from streams.trace_context import GENERATION, consumed, trace_of

if TYPE_CHECKING:
    from opentelemetry.trace import Span

_TOKEN_BYTES = 4


class Book(Sized, Protocol):
    """The groups in work, by their ids."""

    def __contains__(self, group_id: str, /) -> bool: ...


class GroupTraces:
    def __init__(self, model: str, consumer_group: str) -> None:
        self._model, self._consumer_group = Path(model).name, consumer_group
        self._spans: dict[str, Span] = {}

    def begin(self, ticket: PromptTicket, record: Record) -> None:
        tracing = active()
        if tracing is None or ticket.group_id in self._spans:
            return
        from opentelemetry.trace import SpanKind

        self._spans[ticket.group_id] = tracing.group_span(
            f"{SpanName.PROCESS} {Topic.PROMPTS}",
            ticket.group_id,
            kind=SpanKind.CONSUMER,
            parent=trace_of(record),
            attributes={
                **consumed(record, Topic.PROMPTS, self._consumer_group),
                Attribute.PROMPT: ticket.prompt_id,
                Attribute.DOMAIN: ticket.domain,
                Attribute.PURPOSE: str(ticket.purpose),
                Attribute.SAMPLES: ticket.samples,
            },
        )

    def generated(self, rollout: Rollout) -> dict[str, str]:
        """Makes the span of a response; returns the headers of its record."""
        tracing, group = active(), self._spans.get(rollout.group_id)
        if tracing is None or group is None:
            return {}
        span = tracing.group_span(
            f"{SpanName.CHAT} {self._model}",
            rollout.group_id,
            parent=tracing.traceparent(group),
            start=rollout.timings.started,
            attributes={
                Attribute.GEN_OPERATION: str(SpanName.CHAT),
                Attribute.GEN_PROVIDER: rollout.engine,
                Attribute.GEN_MODEL: self._model,
                Attribute.GEN_CONVERSATION: rollout.group_id,
                Attribute.GEN_RESPONSE: rollout.rollout_id,
                Attribute.GEN_FINISH: (rollout.finish_reason,),
                Attribute.GEN_INPUT: _tokens(rollout, Source.PROMPT),
                Attribute.GEN_OUTPUT: _tokens(rollout, Source.POLICY),
                Attribute.GEN_TEMPERATURE: rollout.sampling.temperature,
                Attribute.GEN_TOP_P: rollout.sampling.top_p,
                Attribute.GEN_MAX_TOKENS: rollout.sampling.max_new_tokens,
                Attribute.GEN_SEED: rollout.sampling.seed,
                Attribute.LINEAGE: max((made.lineage for made in rollout.spans), default=None),
                Attribute.VERSION: max((made.version for made in rollout.spans), default=None),
            },
        )
        tracing.end(span, rollout.timings.finished)
        traceparent = tracing.traceparent(span)
        return {TRACEPARENT: traceparent, GENERATION: traceparent}

    def failed(self, group_id: str, why: str) -> dict[str, str]:
        """Marks the group's span; returns the headers of the verdict that says so."""
        tracing, span = active(), self._spans.get(group_id)
        if tracing is None or span is None:
            return {}
        tracing.fail(span, "failed", why)
        return {TRACEPARENT: tracing.traceparent(span)}

    def settle(self, book: Book) -> None:
        """Ends the spans of the groups that are not in the book."""
        if len(self._spans) == len(book):
            return
        tracing = active()
        for group_id in [group_id for group_id in self._spans if group_id not in book]:
            span = self._spans.pop(group_id)
            if tracing is not None:
                tracing.end(span)


def _tokens(rollout: Rollout, source: Source) -> int:
    return sum(len(segment.token_ids) for segment in rollout.segments if segment.source is source) // _TOKEN_BYTES
