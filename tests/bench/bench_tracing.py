"""What tracing costs a stage per record, off and on: python tests/bench/bench_tracing.py

A batch goes through what a stage does for its traces (spans, headers, end). With tracing on, the exporter sends to a
collector in a process of its own, and the CPU is that of the whole process, exporter included. The cost of a batch
without this code is subtracted, so `off` may be within the noise of zero.
"""

import subprocess
import sys
import time

from measures import measure

from infra.settings.tracing import TracingSettings
from infra.tracing import spans
from streams.apps.batch_traces import TracedStage, traces_of
from streams.records import Output, Record
from streams.trace_context import trace_headers

BATCH, BATCHES = 64, 60
REPEATS = 3
STAGE = TracedStage(topic="rollouts", group="bench.router", dead_letters="bench.dead-letters")
HEADERS = (("schema", b"Rollout"), ("schema_version", b"1"), ("route", b"rtv"))
COLLECTOR = """\
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()
    def log_message(self, *_):
        pass
server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
"""


def records(*, traced: bool) -> list[Record]:
    found = []
    tracing = spans.active()
    for number in range(BATCH):
        headers = HEADERS
        if traced and tracing is not None:
            span = tracing.group_span("chat", f"bench:{number}")
            headers = (*headers, (spans.TRACEPARENT, tracing.traceparent(span).encode()))
        found.append(Record("bench.rollouts", 0, number, 0.0, f"bench:{number}".encode(), b"body", headers))
    return found


def cpu_per_record(batch: list[Record], *, with_traces: bool) -> float:
    """CPU seconds of the process per record; the best of a few runs."""
    best = float("inf")
    for _ in range(REPEATS):
        started = time.process_time()
        for _ in range(BATCHES):
            if with_traces:
                traces = traces_of(STAGE, batch)
                outputs = [Output("out", one.key, one.value, (*HEADERS, *trace_headers(one))) for one in batch]
                if traces is not None:
                    traces.outputs(outputs)
                    traces.end()
            else:
                outputs = [Output("out", one.key, one.value, HEADERS) for one in batch]
        if spans.active() is not None:
            time.sleep(2)  # the exporter sends what is left
        best = min(best, (time.process_time() - started) / (BATCH * BATCHES))
    return best


def main() -> None:
    plain = records(traced=False)
    bare = cpu_per_record(plain, with_traces=False)
    off = cpu_per_record(plain, with_traces=True) - bare
    with subprocess.Popen([sys.executable, "-c", COLLECTOR], stdout=subprocess.PIPE, text=True) as collector:
        assert collector.stdout is not None
        port = int(collector.stdout.readline())
        spans.set_up(TracingSettings(endpoint=f"http://127.0.0.1:{port}"), "router", "bench")
        on = cpu_per_record(records(traced=True), with_traces=True) - bare
        spans.shut_down()
        collector.kill()
    measure("tracing.off", off * 1e6, "microseconds per record")
    measure("tracing.on", on * 1e6, "microseconds per record and span")


if __name__ == "__main__":
    main()
