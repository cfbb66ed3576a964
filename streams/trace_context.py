"""The trace of a group in the headers of its records: the only place that writes or reads them.

`traceparent` (W3C Trace Context) names the span that wrote the record, and is the parent of the span that works on it.
`generation_traceparent` names the span in which a response was generated; it stays through all stages, because a
verdict belongs to that span. Records have neither while tracing is off.
"""

from collections.abc import Iterable
from typing import Any

from infra.tracing.names import Attribute, SpanName
from infra.tracing.spans import TRACEPARENT
from streams.codec import Header, header
from streams.records import Record

GENERATION = "generation_traceparent"
_KEPT = (TRACEPARENT, GENERATION)


def trace_of(record: Record) -> str | None:
    """Returns the traceparent of the span that wrote the record."""
    return header(record.headers, TRACEPARENT)


def generation_of(record: Record) -> str | None:
    """Returns the traceparent of the span that generated the response in the record."""
    return header(record.headers, GENERATION)


def trace_headers(record: Record) -> tuple[Header, ...]:
    """Returns the headers of the record's trace, for an output that is made of it."""
    return tuple(pair for pair in record.headers if pair[0] in _KEPT)


def with_trace(headers: Iterable[Header], traceparent: str) -> tuple[Header, ...]:
    """Returns the headers with this span as the one that writes the record."""
    return (*(pair for pair in headers if pair[0] != TRACEPARENT), (TRACEPARENT, traceparent.encode()))


def consumed(record: Record, topic: str, group: str) -> dict[Attribute, Any]:
    """The attributes of a span that works on a record of `topic` (without the run's prefix)."""
    return {
        Attribute.SYSTEM: "kafka",
        Attribute.OPERATION: str(SpanName.PROCESS),
        Attribute.OPERATION_TYPE: "process",
        Attribute.DESTINATION: record.topic,
        Attribute.TEMPLATE: topic,
        Attribute.PARTITION: str(record.partition),
        Attribute.OFFSET: record.offset,
        Attribute.KEY: (record.key or b"").decode(errors="replace"),
        Attribute.CONSUMER_GROUP: group,
    }
