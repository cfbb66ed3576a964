"""The table of scalars: whole, said once, and what its page shows."""

import json
import re
from dataclasses import fields

import pytest
from prometheus_client import REGISTRY

from infra import metrics
from infra.scalars import SCALARS, Scalar, of_logged, of_metric
from infra.scalars.page import PAGE, page
from trainer.runlog.names import scalars_of_step
from trainer.step.report import StepReport

PREFIX = "rewardstream_"
NO_SCALARS = {"value_only"}
"""Of a step's report: a mode, told by its constant losses."""


def exported() -> set[str]:
    assert metrics.policy_version
    return {family.name.removeprefix(PREFIX) for family in REGISTRY.collect() if family.name.startswith(PREFIX)}


def full_line() -> dict:
    """A step that measured everything, each number another one."""
    report = {field.name: float(place + 1) for place, field in enumerate(fields(StepReport))}
    report |= {"skipped": [{}, {}], "seconds": {"total": 2.5, "publish": 0.5}}
    return report | {
        "reward": 0.5,
        "rewards": {"mathematics": 0.25},
        "staleness": [0, 2],
        "token_staleness": 0.75,
        "token_staleness_quantiles": {"p50": 0, "max": 2},
        "groups": 2,
        "trajectories": 8,
        "response_tokens": 12.5,
    }


def test_every_exported_scalar_is_in_the_table_and_none_beside():
    assert exported() == {scalar.metric for scalar in SCALARS if scalar.metric}


def test_prometheus_says_what_the_table_says():
    for family in REGISTRY.collect():
        if family.name.startswith(PREFIX):
            assert family.documentation == of_metric(family.name.removeprefix(PREFIX)).help


def test_every_scalar_of_a_step_is_logged_under_a_name_of_the_table():
    line = full_line()
    named = scalars_of_step(line)
    assert all(of_logged(name) for name in named)
    left_out = {
        field.name
        for field in fields(StepReport)
        if isinstance(line[field.name], float) and line[field.name] not in named.values()
    }
    assert left_out == NO_SCALARS
    assert (named["reward/mathematics"], named["seconds/publish"], named["skipped_updates"]) == (0.25, 0.5, 2)
    assert (named["staleness/mean"], named["staleness/max"], named["token_staleness/p50"]) == (1, 2, 0)


def test_every_logged_name_of_the_table_is_logged():
    of_steps = {of_logged(name).logged for name in scalars_of_step(full_line())}
    assert {scalar.logged for scalar in SCALARS if scalar.logged} == of_steps | {"heldout/{domain}"}


def test_what_a_step_did_not_measure_is_not_logged():
    named = scalars_of_step(full_line() | {"explained_variance": None, "kl": float("nan")})
    assert not named.keys() & {"explained_variance", "kl"}


@pytest.mark.parametrize("scalar", SCALARS, ids=lambda scalar: scalar.metric or scalar.logged)
def test_a_row_says_what_when_and_what_then(scalar: Scalar):
    assert scalar.metric or scalar.logged
    assert all(len(text) > 1 for text in (scalar.unit, scalar.meaning, scalar.healthy, scalar.otherwise))
    assert scalar.meaning.endswith(".")
    for name in re.findall(r"\b[a-z]+(?:_[a-z]+)+\b", scalar.otherwise):
        assert name in vocabulary(), f"{name} is neither a scalar nor a setting"


def vocabulary() -> set[str]:
    from infra.settings.tree import Settings

    settings = set(re.findall(r"\w+", json.dumps(Settings.model_json_schema())))
    names = {part for scalar in SCALARS for part in (scalar.metric, scalar.logged.split("/")[0])}
    return settings | names | {"zero_variance"}


def test_names_are_said_once():
    for names in ([s.metric for s in SCALARS if s.metric], [s.logged for s in SCALARS if s.logged]):
        assert len(names) == len(set(names))


def test_the_page_is_made_of_the_table():
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m infra.scalars.page"


def test_an_unknown_name_is_refused():
    with pytest.raises(KeyError, match="infra/scalars"):
        of_logged("loss/policy/deeper")
