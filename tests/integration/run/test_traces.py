"""One group of a whole run, as a collector sees it: each stage with its parent, the verdicts, and the step."""

import json
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from support.otlp_collector import Collector, SeenSpan, serve_collector, tree_of

from infra.db.engine import make_engine
from infra.db.models import Group, Score
from infra.local.postgres import EmbeddedPostgres
from infra.tracing.spans import trace_id_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


def test_the_trace_of_a_group_has_all_stages_and_the_scores_of_the_database(start) -> None:
    with serve_collector() as collector:
        tiny = start(
            *("--no-screen", "--set", f"tracing.endpoint={collector.url}", "--set", "logs.format=json"),
            *("--set", "selector.eval_at_start=false", "--set", "selector.eval_at_end=false"),
        )
        assert tiny.process.wait(240) == 0, tiny.output()
        groups, scores = rows_of(tiny.runs)
        trained = [group for group in groups if group.outcome == "trained"]
        assert len(trained) == 8
        for group in trained:
            check_group(collector, group, scores)
        routes = {span.name for span in collector.spans}
        assert {"process rtv.requests", "process genrm.requests"} <= routes
        print(tree_of(collector, format(trace_id_of(trained[0].group_id), "032x")))
    check_logs(tiny.runs / "latest" / "logs", collector)


def rows_of(runs: Path) -> tuple[list[Group], dict[str, Score]]:
    server = EmbeddedPostgres(runs / "postgres")
    url = server.start()
    engine = make_engine(url)
    try:
        with Session(engine) as session:
            scores = {row.rollout_id: row for row in session.scalars(select(Score).where(~Score.shadow))}
            return list(session.scalars(select(Group))), scores
    finally:
        engine.dispose()
        server.stop()


def check_group(collector: Collector, group: Group, scores: dict[str, Score]) -> None:
    trace = format(trace_id_of(group.group_id), "032x")
    spans = collector.of(trace)
    told = tree_of(collector, trace)

    def named(name: str, service: str) -> list[SeenSpan]:
        return [span for span in spans if (span.name, span.service) == (name, service)]

    [root] = [span for span in spans if not span.parent]
    assert (root.name, root.service, root.kind) == ("send prompts", "selector", "PRODUCER"), told
    assert root.attributes["rewardstream.prompt.id"] == group.prompt_id
    [work] = named("process prompts", "rollout")
    assert work.parent == root.id
    assert work.kind == "CONSUMER"
    chats = [span for span in spans if span.name.startswith("chat ")]
    assert [span.parent for span in chats] == [work.id] * group.samples, told
    assert {span.attributes["gen_ai.response.id"] for span in chats} == {
        f"{group.group_id}/{index}" for index in range(group.samples)
    }
    assert all(span.attributes["gen_ai.usage.output_tokens"] > 0 for span in chats)
    assert all(span.start >= root.start and span.end <= work.end for span in chats)
    routed = named("process rollouts", "router")
    assert {span.parent for span in routed} == {span.id for span in chats}, told
    verdicts = [*named("process rtv.requests", "rtv"), *named("process genrm.requests", "genrm")]
    assert {span.parent for span in verdicts} == {span.id for span in routed}, told
    assert len(verdicts) == group.samples
    stored = named("process scored", "difficulty")
    assert {span.parent for span in stored} == {span.id for span in verdicts}, told
    assert all(span.attributes["messaging.destination.template"] == "scored" for span in stored)

    events = [event for event in collector.events if event.trace == trace]
    assert {event.name for event in events} == {"gen_ai.evaluation.result"}
    assert {event.span for event in events} == {span.id for span in chats}
    by_span = {span.id: span.attributes["gen_ai.response.id"] for span in chats}
    for event in events:
        row = scores[event.attributes["gen_ai.response.id"]]
        assert by_span[event.span] == row.rollout_id
        assert event.attributes["gen_ai.evaluation.score.value"] == row.score
        assert event.attributes["gen_ai.evaluation.score.label"] == row.status
        assert event.attributes["gen_ai.evaluation.name"] == row.scorer
        assert event.attributes["gen_ai.evaluation.explanation"]

    [closing] = named("close group", "learner")
    assert closing.parent == root.id
    assert closing.attributes["rewardstream.group.outcome"] == "trained"
    assert closing.attributes["rewardstream.policy.version"] == group.closed_version
    steps = [span for span in collector.spans if span.name == "train step" and (trace, root.id) in span.links]
    [step] = steps
    assert set(closing.links) == {*((trace, span.id) for span in verdicts), (step.trace, step.id)}, told
    assert step.trace != trace
    assert step.attributes["rewardstream.policy.version"] == group.closed_version
    assert step.attributes["rewardstream.step.groups"] == len(step.links) == 4
    assert not any(span.error for span in spans)


def check_logs(folder: Path, collector: Collector) -> None:
    """Each service's log is JSON, and the learner's lines about a step have the ids of its span."""
    services = ("router", "rtv", "genrm", "difficulty", "crosscheck", "selector", "rollout", "learner")
    lines = {
        name: [json.loads(line) for line in (folder / f"{name}.log").read_text().splitlines()] for name in services
    }
    assert all(line["service"] == name for name, found in lines.items() for line in found)
    steps = {(span.trace, span.id) for span in collector.spans if span.name == "train step"}
    told = {(line["trace_id"], line["span_id"]) for line in lines["learner"] if line["message"].startswith("version=")}
    assert told == steps
