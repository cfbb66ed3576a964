"""Prometheus metrics of every process: prefix `rewardstream_`, base units, no ids as labels.

Invariant: the metrics are those of the table `infra.scalars`, which defines each one: kind, labels, buckets, meaning.
Each process serves all of them and moves its own. A counter whose label values are known is served at 0 before its
first event.
"""

from collections.abc import Mapping
from typing import Any

from prometheus_client import REGISTRY, CollectorRegistry, Gauge, Histogram

from infra.scalars import SCALARS, FlowMetrics, HackingMetrics, LearningMetrics, OnlyLogged, Scalar, ScoringMetrics
from infra.scalars.row import PREFIX
from infra.scalars.weighted_histogram import WeightedHistogram


class Metrics(LearningMetrics, FlowMetrics, ScoringMetrics, HackingMetrics):
    """Each row's attribute is its metric: `metrics.policy_version.set(3)`."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self.made = {row.name: _make(row, registry) for row in SCALARS}

    def set_gauges(self, line: Mapping[str, Any]) -> None:
        """Sets every gauge that has a `field` from a line of steps.jsonl; what the step did not measure stays."""
        for row in SCALARS:
            gauge = self.made[row.name]
            if isinstance(gauge, Gauge):
                for label, value in row.values(line).items():
                    (gauge.labels(label) if row.labels else gauge).set(value)


def _make(row: Scalar[Any], registry: CollectorRegistry) -> Any:
    name = f"{PREFIX}{row.metric}"
    if row.kind is OnlyLogged:
        return OnlyLogged()
    if row.kind is WeightedHistogram:
        return WeightedHistogram(name, row.help, row.buckets, registry)
    if row.kind is Histogram:
        return Histogram(name, row.help, row.labels, buckets=row.buckets, registry=registry)
    metric = row.kind(name, row.help, row.labels, registry=registry)
    for values in row.starts:
        metric.labels(*values)
    return metric


metrics = Metrics()
