"""The spans of a stage: one per record that has a trace, from the begin of its batch to the end of its deliveries.

Invariant: an output that carries the trace of a record gets the span of that record's processing as its parent, so that
the next stage continues from here. A dead letter keeps the headers of its record, as all that it holds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from infra.tracing.names import Attribute, SpanName
from infra.tracing.spans import TRACEPARENT, Tracing, active
from streams.codec import header
from streams.dead_letters import reason_of
from streams.records import Output, Record
from streams.trace_context import consumed, trace_of, with_trace

if TYPE_CHECKING:
    from opentelemetry.trace import Span


@dataclass(frozen=True, slots=True, kw_only=True)
class TracedStage:
    """Names of a stage in its spans."""

    topic: str
    """The source, without the run's prefix."""
    group: str
    """The consumer group."""
    dead_letters: str
    """The topic of dead letters, with the run's prefix."""


class BatchTraces:
    """The spans of one batch."""

    def __init__(self, tracing: Tracing, stage: TracedStage, records: Sequence[Record]) -> None:
        self._tracing, self._stage = tracing, stage
        traced = [(record, parent) for record in records if (parent := trace_of(record)) is not None]
        self._spans = {parent: self._start(record, parent, len(records)) for record, parent in traced}

    def outputs(self, outputs: Sequence[Output]) -> list[Output]:
        """Returns the outputs with their new parents."""
        return [self._continued(output) for output in outputs]

    def end(self, error: Exception | None = None) -> None:
        for span in self._spans.values():
            if error is not None:
                self._tracing.fail(span, type(error).__name__, str(error))
            self._tracing.end(span)

    def _start(self, record: Record, parent: str, count: int) -> "Span":
        from opentelemetry.trace import SpanKind

        return self._tracing.group_span(
            f"{SpanName.PROCESS} {self._stage.topic}",
            (record.key or b"").decode(errors="replace"),
            kind=SpanKind.CONSUMER,
            parent=parent,
            attributes={**consumed(record, self._stage.topic, self._stage.group), Attribute.BATCH: count},
        )

    def _continued(self, output: Output) -> Output:
        parent = header(output.headers, TRACEPARENT)
        span = None if parent is None else self._spans.get(parent)
        if span is None:
            return output
        if output.topic == self._stage.dead_letters:
            self._tracing.fail(span, reason_of(output))
            return output
        headers = with_trace(output.headers, self._tracing.traceparent(span))
        return Output(output.topic, output.key, output.value, headers)


def traces_of(stage: TracedStage, records: Sequence[Record]) -> BatchTraces | None:
    """Starts the spans of a batch; None while tracing is off."""
    tracing = active()
    return None if tracing is None else BatchTraces(tracing, stage, records)
