"""The dashboard, the alerts and the scrape file speak of metrics, labels and services that exist."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import REGISTRY, Histogram

import infra
from infra.metrics import metrics
from infra.scalars import SCALARS, OnlyLogged
from infra.scalars.weighted_histogram import WeightedHistogram
from infra.services import Service
from infra.settings.tree import MetricsSettings

INFRA = Path(infra.__file__).parent
OF_EVERY_TARGET = {"instance", "job", "service"}
"""Prometheus sets the first two, infra/prometheus/prometheus.yml the third."""
OF_EVERY_PROCESS = {
    name: set[str]()
    for name in ("up", "process_start_time_seconds", "process_cpu_seconds_total", "process_resident_memory_bytes")
}
NAME = re.compile(r"\b(rewardstream_\w+|process_\w+|up)\b(?:\{([^}]*)\})?")
GROUPING = re.compile(r"\b(?:by|on) \(([^)]*)\)")
MATCHER = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")


def series() -> dict[str, set[str]]:
    """Every series that the table of scalars makes -> its labels."""
    found = dict(OF_EVERY_PROCESS)
    for row in SCALARS:
        name, labels = row.series, set(row.labels)
        if row.kind in {Histogram, WeightedHistogram}:
            found |= {f"{name}_bucket": labels | {"le"}, f"{name}_sum": labels, f"{name}_count": labels}
        elif row.kind is not OnlyLogged:
            found[name] = labels
    return found


def values_of(key: str, node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        yield from (value for name, value in node.items() if name == key and isinstance(value, str))
        for value in node.values():
            yield from values_of(key, value)
    elif isinstance(node, list):
        for value in node:
            yield from values_of(key, value)


def dashboard() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((INFRA / "grafana/dashboards/rewardstream.json").read_text())
    return loaded


def expressions() -> list[str]:
    alerts = yaml.safe_load((INFRA / "prometheus/alerts.yml").read_text())
    recorded = {
        rule["record"]: rule["expr"] for group in alerts["groups"] for rule in group["rules"] if "record" in rule
    }
    found = [*values_of("expr", dashboard()), *values_of("expr", alerts)]
    for name, meant in recorded.items():
        found = [expression.replace(name, f"({meant})") for expression in found]
    return found


def problems(expression: str) -> list[str]:
    known, found, labels = series(), [], set(OF_EVERY_TARGET)
    for name, matchers in NAME.findall(expression):
        if name not in known:
            found.append(f"no such metric: {name}")
            continue
        allowed = known[name] | OF_EVERY_TARGET
        labels |= allowed
        found += [f"{name} has no label {label}" for label in MATCHER.findall(matchers) if label not in allowed]
    for group in GROUPING.findall(expression):
        found += [f"no metric here has the label {label}" for label in re.findall(r"\w+", group) if label not in labels]
    return found


def test_series_are_those_that_the_registry_serves() -> None:
    assert metrics.policy_version
    served = {
        sample.name
        for family in REGISTRY.collect()
        for sample in family.samples
        if family.name.startswith("rewardstream_") and not sample.name.endswith("_created")
    }
    assert served
    assert served <= set(series())


@pytest.mark.parametrize("expression", expressions())
def test_expression_uses_existing_metrics_and_labels(expression: str) -> None:
    assert NAME.search(expression)
    assert problems(expression) == []


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("rate(rewardstream_rollout_total[1m])", "no such metric: rewardstream_rollout_total"),
        ("rewardstream_rollouts", "no such metric: rewardstream_rollouts"),
        ('rewardstream_learner_reward{route="rtv"}', "rewardstream_learner_reward has no label route"),
        ("sum by (domain) (rewardstream_admission_slots)", "no metric here has the label domain"),
    ],
)
def test_a_wrong_expression_is_found(expression: str, problem: str) -> None:
    assert problem in problems(expression)


def test_every_metric_is_on_the_dashboard() -> None:
    """A metric that nobody can see is one that nobody watches."""
    shown = " ".join(values_of("expr", dashboard()))
    families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in series()} - set(OF_EVERY_PROCESS)
    assert {family for family in families if family not in shown} == set()


def test_panels_draw_from_the_provisioned_datasource() -> None:
    provisioned = yaml.safe_load((INFRA / "grafana/provisioning/datasources/prometheus.yml").read_text())
    used = {panel["datasource"]["uid"] for panel in dashboard()["panels"] if panel["type"] != "row"}
    assert used == {source["uid"] for source in provisioned["datasources"]}


def test_panels_have_ids_of_their_own_and_do_not_overlap() -> None:
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [cell for panel in panels for cell in cells_of(panel["gridPos"])]
    assert len(cells) == len(set(cells))


def cells_of(position: dict[str, int]) -> Iterator[tuple[int, int]]:
    for x in range(position["x"], position["x"] + position["w"]):
        assert x < 24
        for y in range(position["y"], position["y"] + position["h"]):
            yield x, y


def test_every_service_is_scraped_where_it_serves() -> None:
    scrape = yaml.safe_load((INFRA / "prometheus/prometheus.yml").read_text())
    (lookup,) = next(job for job in scrape["scrape_configs"] if job["job_name"] == "rewardstream")["dns_sd_configs"]
    assert set(lookup["names"]) == {str(service) for service in Service}
    assert lookup["port"] == MetricsSettings().port
    assert all((INFRA / "prometheus" / name).is_file() for name in scrape["rule_files"])
