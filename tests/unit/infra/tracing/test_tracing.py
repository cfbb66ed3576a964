"""Spans and events on their way to a real collector: what is traced, what is dropped, what is left if it is off."""

import logging
import subprocess
import sys
from collections.abc import Iterator

import pytest
from opentelemetry.semconv._incubating.attributes import error_attributes, gen_ai_attributes, messaging_attributes
from opentelemetry.semconv.schemas import Schemas
from support.otlp_collector import Collector, serve_collector
from support.waiting import wait_until

from infra.cli.errors import CommandError, ExitCode
from infra.cli.serve import set_up_tracing
from infra.metrics import metrics
from infra.services import Service
from infra.settings.load import load
from infra.settings.sources import InvalidSettingsError, Option
from infra.settings.tracing import TracingSettings
from infra.tracing import spans
from infra.tracing.names import SCHEMA_URL, Attribute, EventName
from infra.tracing.spans import Tracing, trace_id_of


@pytest.fixture
def collector() -> Iterator[Collector]:
    with serve_collector() as collector:
        yield collector
        spans.shut_down()


def switch_on(endpoint: str, **settings: float) -> Tracing:
    spans.set_up(TracingSettings(endpoint=endpoint, **settings), "router", "r1")
    tracing = spans.active()
    assert tracing is not None
    return tracing


def dropped(reason: str) -> float:
    return float(metrics.trace_records_dropped_total.labels(reason)._value.get())


def test_a_group_is_one_trace_over_processes_and_restarts(collector: Collector) -> None:
    tracing = switch_on(collector.url)
    root = tracing.group_span("send", "r1:7", attributes={Attribute.SAMPLES: 4, Attribute.REASON: None})
    header = tracing.traceparent(root)
    child = tracing.group_span("process", "r1:7", parent=header, links=[header], start=1.5)
    again = tracing.group_span("send", "r1:7")
    stranger = tracing.group_span("process", "r1:8", parent=header)  # a header of another group
    for span in (child, again, stranger):
        tracing.end(span, 2.0)
    tracing.end(root)
    tracing.event(EventName.EVALUATION, header, {Attribute.EVALUATION_SCORE: 0.5})
    spans.shut_down()
    assert spans.active() is None
    seen = {(span.name, span.trace, span.parent): span for span in collector.spans}
    trace, other = (format(trace_id_of(group), "032x") for group in ("r1:7", "r1:8"))
    first = next(span for span in collector.of(trace) if span.attributes.get("rewardstream.group.size"))
    assert set(seen) == {("send", trace, ""), ("process", trace, first.id), ("process", other, "")}
    assert first.attributes == {"rewardstream.group.id": "r1:7", "rewardstream.group.size": 4}
    one = seen["process", trace, first.id]
    assert (one.links, one.start, one.end) == (((trace, first.id),), 1_500_000_000, 2_000_000_000)
    assert {span.schema for span in collector.spans} == {SCHEMA_URL}
    [event] = collector.events
    assert (event.name, event.trace, event.span) == ("gen_ai.evaluation.result", trace, first.id)
    about = collector.resources[0]
    assert (about["service.name"], about["rewardstream.run.id"]) == ("router", "r1")


@pytest.mark.parametrize("ratio", [0.0, 0.3, 1.0])
def test_groups_are_kept_whole_by_their_ids_and_steps_always(collector: Collector, ratio: float) -> None:
    kept = []
    for _ in range(2):  # as two processes
        tracing = switch_on(collector.url, ratio=ratio)
        for seq in range(200):
            root = tracing.group_span("send", f"r1:{seq}")
            header = tracing.traceparent(root)
            tracing.end(tracing.group_span("process", f"r1:{seq}", parent=header))
            tracing.end(root)
            tracing.event(EventName.EVALUATION, header, {})
        tracing.end(tracing.root_span("train step"))
        spans.shut_down()
        groups = [span.attributes.get("rewardstream.group.id") for span in collector.spans]
        assert groups.count(None) == 1
        found = sorted(group for group in groups if group)
        assert found == sorted(2 * list(dict.fromkeys(found)))
        assert len(collector.events) == len(set(found))
        kept.append(found)
        collector.spans.clear()
        collector.events.clear()
    assert kept[0] == kept[1]
    assert abs(len(set(kept[0])) - 200 * ratio) <= 30 * (0 < ratio < 1)


def test_what_finds_the_queue_full_is_dropped_and_counted_and_nobody_waits(collector: Collector) -> None:
    collector.answers.clear()
    tracing, before = switch_on(collector.url, queue=10), dropped("queue")
    for seq in range(50):
        tracing.end(tracing.group_span("send", f"r1:{seq}"))
        tracing.event(EventName.EVALUATION, tracing.traceparent(tracing.group_span("chat", f"r1:{seq}")), {})
    assert dropped("queue") - before == 90
    spans.shut_down()  # it gives up on the silent collector


@pytest.mark.parametrize("status", [503, 400])
def test_a_collector_that_refuses_is_said_once_and_counted(
    collector: Collector, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    collector.status = status
    tracing, before = switch_on(collector.url, timeout_seconds=0.2), dropped("export")
    for number in range(2):
        tracing.end(tracing.group_span("send", f"r1:{number}"))
        wait_until(lambda: dropped("export") - before > number, "the drop")  # noqa: B023 (it is called before the next turn)
    collector.status = 200
    tracing.end(tracing.group_span("send", "r1:2"))
    wait_until(lambda: len(collector.spans) == 1, "the third span")
    wait_until(lambda: len(caplog.messages) == 2, "the line", details=lambda: str(caplog.messages))
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2
    assert "does not take them" in caplog.messages[0]
    assert "takes them again" in caplog.messages[1]


def test_log_lines_have_the_ids_of_their_span(collector: Collector) -> None:
    assert spans.current_ids() == {}
    tracing = switch_on(collector.url)
    assert spans.current_ids() == {}
    span = tracing.group_span("send", "r1:1")
    with tracing.within(span):
        assert spans.current_ids() == {
            "trace_id": format(trace_id_of("r1:1"), "032x"),
            "span_id": tracing.traceparent(span).split("-")[2],
        }
    assert spans.current_ids() == {}


def test_names_are_those_of_the_conventions_at_the_schema_url() -> None:
    modules = (messaging_attributes, gen_ai_attributes, error_attributes)
    defined = {value for module in modules for name, value in vars(module).items() if name.isupper()}
    borrowed = {str(name) for name in Attribute if not name.startswith("rewardstream.")}
    assert borrowed <= defined
    assert Schemas.V1_44_0.value == SCHEMA_URL
    assert len({str(name) for name in Attribute}) == len(Attribute)


def test_while_it_is_off_no_package_of_it_is_imported() -> None:
    program = """\
import sys
import streams.apps.router, streams.apps.rtv, trainer.curriculum.dispatch, workers.rollout.group_traces
from infra.tracing import spans
from infra.settings.tracing import TracingSettings
spans.set_up(TracingSettings(), "router", "r1")
assert spans.active() is None
print([name for name in sys.modules if name.startswith("opentelemetry")])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=100)
    assert done.stdout.strip() == "[]"


def test_without_the_extra_the_setting_is_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spans, "is_installed", lambda: False)
    settings = load(None, [Option("tracing.endpoint", "http://127.0.0.1:4318", "test")]).settings
    with pytest.raises(CommandError, match=r"pip install 'rewardstream\[tracing\]'") as raised:
        set_up_tracing(Service.ROUTER, settings)
    assert raised.value.code == ExitCode.USAGE
    with pytest.raises(InvalidSettingsError, match=r"tracing.endpoint.*expected the URL"):
        load(None, [Option("tracing.endpoint", "localhost:4318", "test")])
