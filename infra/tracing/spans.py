"""The traces of this process: off until `set_up` switches them on.

Invariants
- While tracing is off, no package of OpenTelemetry is imported, and code that traces asks one global variable.
- All spans of a group are in one trace, whose id is the hash of the group's id; so a ticket that is produced again, and
  a process that comes late, join the same trace, and every process samples the same groups.
- No span waits for the collector (`infra.tracing.export`).
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from infra import logs
from infra.settings.tracing import TracingSettings
from infra.tracing.names import Attribute, EventName

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span, SpanKind

    from infra.tracing.export import Providers

TRACEPARENT = "traceparent"
"""W3C Trace Context; also the name of the Kafka header."""
PACKAGE = "opentelemetry.exporter.otlp.proto.http"

_tracing: "Tracing | None" = None


class TracingNotInstalledError(ImportError):
    """tracing.endpoint is set, and the extra is not installed."""


def active() -> "Tracing | None":
    """Returns the process's tracing; None if it is off."""
    return _tracing


def set_up(settings: TracingSettings, service: str, run: str) -> None:
    """Switches tracing on if `tracing.endpoint` is set. Raises TracingNotInstalledError."""
    global _tracing  # noqa: PLW0603 (one per process, as its log and its metrics)
    if not settings.endpoint or _tracing is not None:
        return
    if not is_installed():
        raise TracingNotInstalledError(
            "tracing.endpoint needs OpenTelemetry: pip install 'rewardstream[tracing]', or leave the endpoint empty"
        )
    from infra.tracing.export import open_providers

    _tracing = Tracing(open_providers(settings, service, run, next_trace_id.get))
    logs.add_context(current_ids)


def is_installed() -> bool:
    try:
        return find_spec(PACKAGE) is not None
    except ModuleNotFoundError:
        return False


def shut_down() -> None:
    """Sends what is left, for at most a second, and switches tracing off."""
    global _tracing
    ending, _tracing = _tracing, None
    if ending is not None:
        ending.providers.close()


def current_ids() -> dict[str, str]:
    """The ids of the span that the calling code is in, for its log lines."""
    if _tracing is None:
        return {}
    from opentelemetry import trace

    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return {}
    return {"trace_id": trace.format_trace_id(context.trace_id), "span_id": trace.format_span_id(context.span_id)}


next_trace_id: ContextVar[int | None] = ContextVar("next_trace_id", default=None)
"""The id of the trace that the next root span begins."""


def trace_id_of(group_id: str) -> int:
    """A group's trace: the first 16 bytes of the BLAKE2b hash of its id, as OpenTelemetry's 128-bit integer."""
    return int.from_bytes(hashlib.blake2b(group_id.encode(), digest_size=16).digest()) or 1


class Tracing:
    """Makes spans and events. `parent` and `links` are W3C traceparents, as they come in headers; times are Unix
    seconds.
    """

    def __init__(self, providers: "Providers") -> None:
        from opentelemetry import trace
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self.providers = providers
        self._trace = trace
        self._propagator = TraceContextTextMapPropagator()
        self._tracer = providers.tracer

    def group_span(
        self,
        name: str,
        group_id: str,
        *,
        kind: "SpanKind | None" = None,
        parent: str | None = None,
        links: Iterable[str] = (),
        attributes: Mapping[Attribute, Any] | None = None,
        start: float | None = None,
    ) -> "Span":
        """Starts a span in the trace of the group; without a usable `parent` it is a root."""
        given = self._context(parent)
        found = self._trace.get_current_span(given).get_span_context()
        context = given if found.trace_id == trace_id_of(group_id) else self._context(None)
        token = next_trace_id.set(trace_id_of(group_id))
        try:
            named = {Attribute.GROUP: group_id, **(attributes or {})}
            return self._start(name, kind, context, links=links, attributes=named, start=start)
        finally:
            next_trace_id.reset(token)

    def root_span(
        self, name: str, *, links: Iterable[str] = (), attributes: Mapping[Attribute, Any] | None = None
    ) -> "Span":
        """Starts a trace of its own, which is kept whatever the ratio of groups is."""
        return self._start(name, None, self._context(None), links=links, attributes=attributes or {}, start=None)

    def event(self, name: EventName, parent: str, attributes: Mapping[Attribute, Any]) -> None:
        """Writes an event that belongs to the span `parent`, unless that span is not sampled."""
        context = self._context(parent)
        if self._trace.get_current_span(context).get_span_context().trace_flags.sampled:
            self.providers.event_logger.emit(event_name=str(name), context=context, attributes=_plain(attributes))

    def traceparent(self, span: "Span") -> str:
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier, self._trace.set_span_in_context(span))
        return carrier[TRACEPARENT]

    @contextmanager
    def within(self, span: "Span") -> Iterator[None]:
        """Lines that are logged in the block have the span's ids."""
        with self._trace.use_span(span, record_exception=False, set_status_on_exception=False):
            yield

    def fail(self, span: "Span", kind: str, why: str = "") -> None:
        span.set_attribute(Attribute.ERROR, kind)
        span.set_status(self._trace.StatusCode.ERROR, why or None)

    def end(self, span: "Span", at: float | None = None) -> None:
        span.end(None if at is None else _nanoseconds(at))

    def _start(
        self,
        name: str,
        kind: "SpanKind | None",
        context: "Context",
        *,
        links: Iterable[str],
        attributes: Mapping[Attribute, Any],
        start: float | None,
    ) -> "Span":
        linked = [self._trace.get_current_span(self._context(link)).get_span_context() for link in links]
        return self._tracer.start_span(
            name,
            context=context,
            kind=kind or self._trace.SpanKind.INTERNAL,
            attributes=_plain(attributes),
            links=[self._trace.Link(one) for one in linked if one.is_valid],
            start_time=None if start is None else _nanoseconds(start),
        )

    def _context(self, traceparent: str | None) -> "Context":
        """The context that a header names; an empty one if it names none."""
        from opentelemetry.context import Context

        return self._propagator.extract({TRACEPARENT: traceparent} if traceparent else {}, Context())


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)


def _plain(attributes: Mapping[Attribute, Any]) -> dict[str, Any]:
    """Without what is missing; names as plain strings."""
    return {str(name): value for name, value in attributes.items() if value is not None}
