"""What carries spans and events to the collector: OpenTelemetry's batch processors, with a bound that is counted.

Invariant: whoever ends a span or writes an event never waits. What finds `tracing.queue` records of this process
unsent is dropped and counted, and so is what the collector did not take. This module is imported only if tracing is on.
"""

import logging
import os
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from opentelemetry._logs import Logger
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider, LogRecordProcessor, ReadableLogRecord, ReadWriteLogRecord
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased, Sampler, SamplingResult, TraceIdRatioBased
from opentelemetry.trace import Tracer

from infra.metrics import metrics
from infra.settings.tracing import TracingSettings
from infra.tracing.names import SCHEMA_URL, SCOPE, Attribute

log = logging.getLogger(__name__)

_BATCH = 512
"""OpenTelemetry's default; half a megabyte per request."""
_DELAY_MS = 1000
"""Longest wait of a span for others to be sent with: who watches a run sees it within a second."""
_CLOSE_SECONDS = 1.0
"""A part of the five seconds in which every process of a stack must end."""
_MOST_LINKS = 4096
"""Groups of a step; the library's 128 are fewer than a large step has."""


@dataclass(frozen=True, slots=True)
class Providers:
    tracer: Tracer
    event_logger: Logger
    close: Callable[[], None]
    """Sends what is left, within _CLOSE_SECONDS."""


def open_providers(
    settings: TracingSettings, service: str, run: str, next_trace_id: Callable[[], int | None]
) -> Providers:
    """`next_trace_id` returns the id of the trace that a root span begins; None stands for a random one."""
    for library in ("opentelemetry.exporter", "opentelemetry.sdk"):
        logging.getLogger(library).setLevel(logging.CRITICAL)  # Backlog says it, once
    resource = Resource.create(
        {
            "service.namespace": SCOPE,
            "service.name": service,
            "service.version": version("rewardstream"),
            "service.instance.id": f"{socket.gethostname()}:{os.getpid()}",
            Attribute.RUN: run,
        },
        SCHEMA_URL,
    )
    backlog = Backlog(settings.endpoint, settings.queue)
    spans = TracerProvider(
        sampler=ParentBased(GroupSampler(settings.ratio)),
        resource=resource,
        shutdown_on_exit=False,
        id_generator=_GivenIds(next_trace_id),
        span_limits=SpanLimits(max_links=_MOST_LINKS),
    )
    span_exporter = OTLPSpanExporter(f"{settings.endpoint}/v1/traces", timeout=settings.timeout_seconds)
    spans.add_span_processor(_BoundedSpans(_CountedSpans(span_exporter, backlog), backlog))
    events = LoggerProvider(resource=resource, shutdown_on_exit=False)
    log_exporter = OTLPLogExporter(f"{settings.endpoint}/v1/logs", timeout=settings.timeout_seconds)
    events.add_log_record_processor(_BoundedEvents(_CountedEvents(log_exporter, backlog), backlog))

    def shut_down() -> None:
        spans.shutdown()
        events.shutdown()

    def close() -> None:
        closing = threading.Thread(target=shut_down, name="tracing", daemon=True)
        closing.start()
        closing.join(_CLOSE_SECONDS)
        if backlog.waiting:
            log.warning("%d spans and events were not sent to %s", backlog.waiting, settings.endpoint)

    return Providers(
        spans.get_tracer(SCOPE, version("rewardstream"), schema_url=SCHEMA_URL),
        events.get_logger(SCOPE, version("rewardstream"), schema_url=SCHEMA_URL),
        close,
    )


class GroupSampler(Sampler):
    """Keeps a share of the groups, by the trace's id, and every trace that is not a group's."""

    def __init__(self, ratio: float) -> None:
        self._groups = TraceIdRatioBased(ratio)

    def should_sample(
        self, parent_context: Context | None, trace_id: int, name: str, *rest: Any, **named: Any
    ) -> SamplingResult:
        attributes = named.get("attributes") or (rest[1] if len(rest) > 1 else None) or {}
        sampler = self._groups if Attribute.GROUP in attributes else ALWAYS_ON
        return sampler.should_sample(parent_context, trace_id, name, *rest, **named)

    def get_description(self) -> str:
        return f"GroupSampler({self._groups.get_description()})"


class _GivenIds(RandomIdGenerator):
    def __init__(self, next_trace_id: Callable[[], int | None]) -> None:
        self._next = next_trace_id

    def generate_trace_id(self) -> int:
        return self._next() or super().generate_trace_id()


class Backlog:
    """Counts the records on their way, of spans and events together, and says when the collector fails."""

    def __init__(self, endpoint: str, most: int) -> None:
        self.waiting = 0
        self.most = most
        self._endpoint = endpoint
        self._failing = False
        self._lock = threading.Lock()

    def accept(self) -> bool:
        """Whether there is room for one more record; if not, it is dropped and counted."""
        with self._lock:
            room = self.waiting < self.most
            self.waiting += room
        if not room:
            metrics.trace_records_dropped_total.labels("queue").inc()
        return room

    def done(self, records: int, *, taken: bool) -> None:
        with self._lock:
            self.waiting -= records
        if not taken:
            metrics.trace_records_dropped_total.labels("export").inc(records)
        if taken is self._failing:
            self._failing = not taken
            state = "takes them again" if taken else "does not take them, and they are dropped"
            log.warning("spans and events: the collector at %s %s", self._endpoint, state)


class _CountedSpans(SpanExporter):
    def __init__(self, exporter: SpanExporter, backlog: Backlog) -> None:
        self._exporter, self._backlog = exporter, backlog

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = SpanExportResult.FAILURE
        try:
            result = self._exporter.export(spans)
        finally:
            self._backlog.done(len(spans), taken=result is SpanExportResult.SUCCESS)
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()


class _CountedEvents(LogRecordExporter):
    def __init__(self, exporter: LogRecordExporter, backlog: Backlog) -> None:
        self._exporter, self._backlog = exporter, backlog

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        result = LogRecordExportResult.FAILURE
        try:
            result = self._exporter.export(batch)
        finally:
            self._backlog.done(len(batch), taken=result is LogRecordExportResult.SUCCESS)
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()  # type: ignore[no-untyped-call]  # OpenTelemetry's

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return self._exporter.force_flush(timeout_millis)


class _BoundedSpans(SpanProcessor):
    def __init__(self, exporter: SpanExporter, backlog: Backlog) -> None:
        self._backlog = backlog
        self._batches = BatchSpanProcessor(
            exporter,
            max_queue_size=backlog.most,
            schedule_delay_millis=_DELAY_MS,
            max_export_batch_size=min(_BATCH, backlog.most),
        )

    def on_end(self, span: ReadableSpan) -> None:
        if span.context is not None and span.context.trace_flags.sampled and self._backlog.accept():
            self._batches.on_end(span)

    def shutdown(self) -> None:
        self._batches.shutdown()  # type: ignore[no-untyped-call]  # OpenTelemetry's

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return self._batches.force_flush(timeout_millis)


class _BoundedEvents(LogRecordProcessor):
    def __init__(self, exporter: LogRecordExporter, backlog: Backlog) -> None:
        self._backlog = backlog
        self._batches = BatchLogRecordProcessor(
            exporter,
            schedule_delay_millis=_DELAY_MS,
            max_export_batch_size=min(_BATCH, backlog.most),
            max_queue_size=backlog.most,
        )

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        if self._backlog.accept():
            self._batches.on_emit(log_record)

    def shutdown(self) -> None:
        self._batches.shutdown()  # type: ignore[no-untyped-call]  # OpenTelemetry's

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return self._batches.force_flush(timeout_millis)
