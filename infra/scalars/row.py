"""One row of the table of scalars.

Invariant: a row is the only definition of its metric. Prometheus' objects and help texts (`infra.metrics`), the names
at TensorBoard and W&B (`trainer.runlog.names`) and the page (`infra.scalars.page`) are derived from it. A row is a
class attribute of its section, and the attribute's name is the row's name.
"""

import re
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from dataclasses import field as dataclass_field
from typing import Any, Generic, Self, TypeVar, overload

from prometheus_client import Counter, Gauge, Histogram

from infra.scalars.weighted_histogram import WeightedHistogram

PREFIX = "rewardstream_"
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
"""Buckets for durations, from a verdict to a step."""


def each(*values: str) -> tuple[tuple[str, ...], ...]:
    """Returns the label values of a metric with one label."""
    return tuple((value,) for value in values)


class OnlyLogged:
    """The kind of a scalar that goes to TensorBoard and W&B, but not to Prometheus."""


MetricT = TypeVar("MetricT", Counter, Gauge, Histogram, WeightedHistogram, OnlyLogged)


class MetricSection:
    """A class whose attributes are rows. On an instance, a row's attribute is the metric that was made of the row."""

    made: Mapping[str, Any]
    """Row name -> metric of the row's kind."""


@dataclass
class Scalar(Generic[MetricT]):
    """One scalar, or a family of them that differ in a label."""

    kind: type[MetricT]
    _: KW_ONLY
    labels: tuple[str, ...] = ()
    """Prometheus labels."""
    starts: tuple[tuple[str, ...], ...] = ()
    """Label values whose series is there at 0 from the process's start, of a counter whose values are known. A series
    that only its first event makes begins at 1, and Prometheus' increase() sees no rise in it.
    """
    buckets: tuple[float, ...] = ()
    """Upper bounds of a histogram's buckets; infinity is added."""
    logged: str = ""
    """Name at TensorBoard and W&B, with the label in braces, e.g. `loss/{kind}`. Empty: not logged."""
    field: str | Mapping[str, str] = ""
    """Key of the value in a line of steps.jsonl, or label value -> key; a dot leads into a nested object. Empty: not
    from a learner's step. Gauges are set from it; counters and histograms are moved by the code that counts."""
    unit: str
    meaning: str
    healthy: str
    otherwise: str
    """What to do outside of the healthy range."""
    name: str = dataclass_field(default="", init=False)
    """Name of the attribute; a counter's ends with `_total`."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: MetricSection, owner: type) -> MetricT: ...
    def __get__(self, instance: MetricSection | None, owner: type) -> Self | MetricT:
        if instance is None:
            return self
        made: MetricT = instance.made[self.name]
        return made

    @property
    def metric(self) -> str:
        """Name of the Prometheus family, without prefix and without a counter's `_total`. Empty: only logged."""
        return "" if self.kind is OnlyLogged else self.name.removesuffix("_total")

    @property
    def series(self) -> str:
        """Name of the Prometheus series; a histogram's series add `_sum`, `_count` and `_bucket`."""
        return f"{PREFIX}{self.name}"

    @property
    def help(self) -> str:
        """Prometheus' help text."""
        return f"{self.meaning} Unit: {self.unit}. Healthy: {self.healthy}"

    def logged_as(self, label: str) -> str:
        """Returns the logged name for a label value."""
        return re.sub(r"\{\w+\}", label, self.logged)

    def values(self, line: Mapping[str, Any]) -> dict[str, Any]:
        """Returns label value -> value from a line of steps.jsonl, without those that the step did not measure. An
        unlabelled scalar has the empty label value. Raises KeyError if the line lacks the field.
        """
        if isinstance(self.field, str):
            value = _value_at(line, self.field) if self.field else None
            values = value if isinstance(value, Mapping) else {"": value}
        else:
            values = {label: _value_at(line, key) for label, key in self.field.items()}
        return {label: value for label, value in values.items() if value is not None}


def _value_at(line: Mapping[str, Any], path: str) -> Any:
    value: Any = line
    for key in path.split("."):
        value = value[key]
    return value
