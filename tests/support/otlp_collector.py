"""A collector of OTLP over HTTP for tests: decodes what real exporters send, and keeps it."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


@dataclass(frozen=True, kw_only=True)
class SeenSpan:
    service: str
    name: str
    trace: str
    id: str
    parent: str
    """Empty for a root."""
    kind: str
    attributes: dict[str, Any]
    links: tuple[tuple[str, str], ...]
    """(trace, span) of each."""
    start: int
    end: int
    """`start` and `end` are nanoseconds."""
    error: bool
    schema: str


@dataclass(frozen=True, kw_only=True)
class SeenEvent:
    service: str
    name: str
    trace: str
    span: str
    attributes: dict[str, Any]


@dataclass
class Collector:
    spans: list[SeenSpan] = field(default_factory=list)
    events: list[SeenEvent] = field(default_factory=list)
    resources: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""
    status: int = 200
    """What it answers; another than 200 keeps nothing."""
    answers: Event = field(default_factory=Event)
    """It takes no request further while this is not set."""

    def of(self, trace: str) -> list[SeenSpan]:
        return sorted((span for span in self.spans if span.trace == trace), key=lambda span: span.start)

    def take(self, path: str, body: bytes) -> bytes:
        if path == "/v1/traces":
            self._take_spans(ExportTraceServiceRequest.FromString(body))
            return ExportTraceServiceResponse().SerializeToString()
        assert path == "/v1/logs", path
        self._take_events(ExportLogsServiceRequest.FromString(body))
        return ExportLogsServiceResponse().SerializeToString()

    def _take_spans(self, request: ExportTraceServiceRequest) -> None:
        for resource in request.resource_spans:
            about = attributes_of(resource.resource.attributes)
            self.resources.append(about)
            for scope in resource.scope_spans:
                for span in scope.spans:
                    self.spans.append(
                        SeenSpan(
                            service=about["service.name"],
                            name=span.name,
                            trace=span.trace_id.hex(),
                            id=span.span_id.hex(),
                            parent=span.parent_span_id.hex(),
                            kind=span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
                            attributes=attributes_of(span.attributes),
                            links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
                            start=span.start_time_unix_nano,
                            end=span.end_time_unix_nano,
                            error=span.status.code == span.status.STATUS_CODE_ERROR,
                            schema=scope.schema_url,
                        )
                    )

    def _take_events(self, request: ExportLogsServiceRequest) -> None:
        for resource in request.resource_logs:
            about = attributes_of(resource.resource.attributes)
            for scope in resource.scope_logs:
                for record in scope.log_records:
                    self.events.append(
                        SeenEvent(
                            service=about["service.name"],
                            name=record.event_name,
                            trace=record.trace_id.hex(),
                            span=record.span_id.hex(),
                            attributes=attributes_of(record.attributes),
                        )
                    )


def attributes_of(pairs: Iterable[Any]) -> dict[str, Any]:
    return {pair.key: _value_of(pair.value) for pair in pairs}


def _value_of(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value_of(each) for each in value.array_value.values]
    return getattr(value, kind)


@contextmanager
def serve_collector() -> Iterator[Collector]:
    collector = Collector()
    collector.answers.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            collector.answers.wait()
            answer = collector.take(self.path, body) if collector.status == 200 else b""
            self.send_response(collector.status)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    collector.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield collector
    finally:
        collector.answers.set()
        server.shutdown()
        server.server_close()
        thread.join()


def tree_of(collector: Collector, trace: str) -> str:
    """The trace as text: each span below its parent, with its service; events and links in their lines."""
    spans = collector.of(trace)
    known = {span.id for span in spans}
    lines: list[str] = []

    def add(parents: set[str], depth: int) -> None:
        for span in spans:
            if span.parent in parents:
                place = "  " * depth + span.name
                taken = (span.end - span.start) / 1e6
                links = f"  links: {len(span.links)}" if span.links else ""
                lines.append(f"{place:<46} {span.service:<11} {taken:>8.1f} ms{links}")
                for event in collector.events:
                    if event.span == span.id:
                        about = event.attributes
                        lines.append(
                            "  " * (depth + 1)
                            + f"{event.name}: {about['gen_ai.evaluation.name']} "
                            + f"{about.get('gen_ai.evaluation.score.value')} {about['gen_ai.evaluation.score.label']}"
                            + f" ({event.service})"
                        )
                add({span.id}, depth + 1)

    add({"", *(span.parent for span in spans if span.parent not in known)}, 0)
    return "\n".join(lines)
