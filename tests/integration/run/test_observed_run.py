"""A whole run as those see it who watch it: a collector of traces, Prometheus, and the readers of its logs."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import select
from sqlalchemy.orm import Session
from support.otlp_collector import Collector, SeenSpan, serve_collector, tree_of

import infra
from infra.db.engine import make_engine
from infra.db.models import Group, Score
from infra.local.postgres import EmbeddedPostgres
from infra.local.scrape_targets import TARGETS_FILE
from infra.tracing.spans import trace_id_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(500)]

SETTINGS = (
    "logs.format=json",
    "selector.eval_every_versions=1",
    "selector.max_steps=3",
    "router.shadow_share=1",
    'crosscheck.scorers={"genrm": "exact", "rtv": "genrm"}',
    "crosscheck.share=1",
    "genrm.canary_every=4",
)
"""They show as much as a tiny run can: second scorers, canaries, held-out prompts after each version."""


@dataclass
class Observed:
    runs: Path
    collector: Collector
    samples: set[tuple[str, tuple[tuple[str, str], ...]]] = field(default_factory=set)
    """Name and labels of each sample that a scrape of a service returned."""


@pytest.fixture(scope="module")
def observed(run_to_end: Callable[..., None]) -> Iterator[Observed]:
    with TemporaryDirectory(prefix="rewardstream-run-") as folder, serve_collector() as collector:
        found = Observed(Path(folder) / "runs", collector)
        chosen = (f"tracing.endpoint={collector.url}", *SETTINGS)
        ended = Event()
        scraping = Thread(target=scrape, args=(found, ended))
        scraping.start()
        try:
            run_to_end(found.runs, *(word for one in chosen for word in ("--set", one)))
        finally:
            ended.set()
            scraping.join()
        yield found


def scrape(found: Observed, ended: Event) -> None:
    """Reads the targets that the run names, and their metrics, as Prometheus would."""
    file = found.runs / "latest" / TARGETS_FILE
    while not ended.wait(0.5):
        try:
            groups = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        for group in groups:
            try:
                text = httpx.get(f"http://{group['targets'][0]}/metrics", timeout=5).text
            except httpx.HTTPError:
                continue  # it does not serve yet, or no longer
            for family in text_string_to_metric_families(text):
                for sample in family.samples:
                    labels = {**sample.labels, "job": "rewardstream", "service": group["labels"]["service"]}
                    found.samples.add((sample.name, tuple(sorted(labels.items()))))


SELECTOR = re.compile(r"\b(rewardstream_\w+|process_\w+)\b(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')
RECORDED = re.compile(r"\w+:\w+:\w+")


def panels() -> list[tuple[str, str]]:
    """(title, query) of each panel."""
    board = json.loads((Path(infra.__file__).parent / "grafana/dashboards/rewardstream.json").read_text("utf-8"))
    return [(panel["title"], target["expr"]) for panel in board["panels"] for target in panel.get("targets", ())]


def has_data(samples: set[tuple[str, tuple[tuple[str, str], ...]]], name: str, matchers: str) -> bool:
    wanted = MATCHER.findall(matchers)
    return any(each == name and all(fits(dict(labels), *one) for one in wanted) for each, labels in samples)


def fits(labels: dict[str, str], name: str, operator: str, value: str) -> bool:
    given = labels.get(name, "")
    equal = given == value if operator in {"=", "!="} else re.fullmatch(value, given) is not None
    return equal is (operator in {"=", "=~"})


NEED_MORE = ("calibration_", "guard_", "exploitation_rate", "newly_credited", "edit_distance")
"""Metrics that need more pairs, versions or responses per group than a tiny run has."""


def test_every_panel_has_data_on_a_healthy_run(observed: Observed) -> None:
    empty = {
        (title, name)
        for title, expression in panels()
        for name, matchers in SELECTOR.findall(RECORDED.sub("", expression))
        if not name.removeprefix("rewardstream_").startswith(NEED_MORE)
        and not has_data(observed.samples, name, matchers)
    }
    assert empty == set()


def test_a_group_has_all_stages_and_the_scores_of_the_database(observed: Observed) -> None:
    groups, scores = rows_of(observed.runs)
    trained = [group for group in groups if group.outcome == "trained"]
    assert len(trained) == 12
    for group in trained:
        check_group(observed.collector, group, scores)
    routes = {span.name for span in observed.collector.spans}
    assert {"process rtv.requests", "process genrm.requests"} <= routes
    print(tree_of(observed.collector, format(trace_id_of(trained[0].group_id), "032x")))


def test_logs_are_json_and_name_the_step_of_a_line(observed: Observed) -> None:
    check_logs(observed.runs / "latest" / "logs", observed.collector)


Scores = dict[tuple[str, str], Score]
"""Verdicts by rollout and route."""


def rows_of(runs: Path) -> tuple[list[Group], Scores]:
    server = EmbeddedPostgres(runs / "postgres")
    url = server.start()
    engine = make_engine(url)
    try:
        with Session(engine) as session:
            scores = {(row.rollout_id, row.route): row for row in session.scalars(select(Score))}
            return list(session.scalars(select(Group))), scores
    finally:
        engine.dispose()
        server.stop()


def check_group(collector: Collector, group: Group, scores: Scores) -> None:
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
    stored = named("process scored", "difficulty")
    assert {span.parent for span in stored} == {span.id for span in verdicts}, told
    assert all(span.attributes["messaging.destination.template"] == "scored" for span in stored)

    events = [event for event in collector.events if event.trace == trace]
    assert {event.name for event in events} == {"gen_ai.evaluation.result"}
    by_span = {span.id: span.attributes["gen_ai.response.id"] for span in chats}
    for event in events:
        row = scores[event.attributes["gen_ai.response.id"], event.attributes["rewardstream.route"]]
        assert by_span[event.span] == row.rollout_id
        assert event.attributes["gen_ai.evaluation.score.value"] == row.score
        assert event.attributes["gen_ai.evaluation.score.label"] == row.status
        assert event.attributes["gen_ai.evaluation.name"] == row.scorer
        assert event.attributes.get("rewardstream.shadow", False) == row.shadow
        assert event.attributes["gen_ai.evaluation.explanation"]
    rewards = [event for event in events if "rewardstream.shadow" not in event.attributes]
    assert sorted(by_span[event.span] for event in rewards) == sorted(by_span.values()), told
    [route] = {event.attributes["rewardstream.route"] for event in rewards}
    verdicts = [span for span in verdicts if span.service == route]
    assert len(verdicts) == group.samples
    assert len(events) - len(rewards) == (group.samples if route == "rtv" else 0)  # no prompt here has a veto

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
