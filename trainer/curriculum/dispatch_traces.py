"""The root of each group's trace: the selector sends its ticket.

A ticket that is produced again, after a crash or an outage, adds another root to the same trace.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from infra.tracing.names import Attribute, SpanName
from infra.tracing.spans import active
from streams.codec import decode
from streams.messages import PromptTicket
from streams.records import Output
from streams.topics import Topic
from streams.trace_context import with_trace


@contextmanager
def traced_dispatch(tickets: Sequence[Output]) -> Iterator[Sequence[Output]]:
    """Yields the tickets with their traces; the block sends them. While tracing is off, they are as they were."""
    tracing = active()
    if tracing is None:
        yield tickets
        return
    from opentelemetry.trace import SpanKind

    spans = [
        tracing.group_span(
            f"{SpanName.SEND} {Topic.PROMPTS}",
            (ticket.key or b"").decode(),
            kind=SpanKind.PRODUCER,
            attributes={
                Attribute.SYSTEM: "kafka",
                Attribute.OPERATION: str(SpanName.SEND),
                Attribute.OPERATION_TYPE: "send",
                Attribute.DESTINATION: ticket.topic,
                Attribute.TEMPLATE: str(Topic.PROMPTS),
                Attribute.KEY: (ticket.key or b"").decode(),
            },
        )
        for ticket in tickets
    ]
    for span, ticket in zip(spans, tickets, strict=True):
        if span.is_recording():
            content = decode(ticket.value, PromptTicket)
            span.set_attribute(Attribute.PROMPT, content.prompt_id)
            span.set_attribute(Attribute.DOMAIN, content.domain)
            span.set_attribute(Attribute.PURPOSE, str(content.purpose))
            span.set_attribute(Attribute.SAMPLES, content.samples)
    try:
        yield [
            Output(ticket.topic, ticket.key, ticket.value, with_trace(ticket.headers, tracing.traceparent(span)))
            for span, ticket in zip(spans, tickets, strict=True)
        ]
    except Exception as error:
        for span in spans:
            tracing.fail(span, type(error).__name__, str(error))
        raise
    finally:
        for span in spans:
            tracing.end(span)
