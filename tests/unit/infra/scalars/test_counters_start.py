"""A counter whose label values are known is served at 0 before its first event.

A series that only its first event makes begins at 1, and Prometheus' increase() sees no rise in it.
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from prometheus_client import CollectorRegistry, Counter

from infra.metrics import Metrics
from infra.scalars import SCALARS, Scalar
from infra.services import Service
from infra.settings.learner import LoggerKind
from streams.messages import Outcome

ROOT = Path(__file__).resolve().parents[4]
OPEN = {"domain": "the data names it", "scorer": "plugins are scorers", "topic": "its prefix is a setting"}
"""Labels whose values no process knows at its start."""
LABELLED = {row.name: row for row in SCALARS if row.kind is Counter and row.labels}


def counted() -> Iterator[tuple[str, int, str]]:
    """Every label value that the code writes as a literal: (counter, place of the label, value)."""
    for package in ("streams", "workers", "trainer", "infra"):
        for file in sorted((ROOT / package).rglob("*.py")):
            text = file.read_text(encoding="utf-8")
            if ".labels(" not in text:
                continue
            for node in ast.walk(ast.parse(text)):
                match node:
                    case ast.Call(func=ast.Attribute(value=ast.Attribute(attr=name), attr="labels"), args=values):
                        for place, value in enumerate(values):
                            if name in LABELLED and isinstance(value, ast.Constant):
                                yield name, place, str(value.value)


@pytest.mark.parametrize("row", LABELLED.values(), ids=lambda row: row.name)
def test_a_counter_is_there_from_the_start_unless_a_label_is_open(row: Scalar) -> None:
    assert bool(row.starts) != bool(OPEN.keys() & set(row.labels)), f"{row.name}: give `starts`"
    registry = CollectorRegistry()
    Metrics(registry)
    for values in row.starts:
        assert registry.get_sample_value(row.series, dict(zip(row.labels, values, strict=True))) == 0


def test_every_value_that_the_code_counts_is_a_starting_one() -> None:
    found = set(counted())
    assert ("tickets_skipped_total", 0, "overdue") in found
    started = {
        (name, place, value)
        for name, row in LABELLED.items()
        for values in row.starts
        for place, value in enumerate(values)
    }
    assert {entry for entry in found if LABELLED[entry[0]].starts} <= started


def test_the_starting_values_are_those_of_the_enumerations() -> None:
    outcomes = {outcome for outcome, _ in LABELLED["groups_closed_total"].starts}
    stages = {stage for stage, _ in LABELLED["dead_letters_total"].starts}
    assert outcomes == set(Outcome)
    assert stages == set(Service)
    assert {logger for (logger,) in LABELLED["logger_failures_total"].starts} == set(get_args(LoggerKind))
