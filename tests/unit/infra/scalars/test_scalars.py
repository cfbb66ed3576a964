"""The table of scalars: each metric is defined once, measured by a step under its field, and told on the page."""

import json
import re
from dataclasses import fields

import pytest
from prometheus_client import REGISTRY, CollectorRegistry

from infra.metrics import Metrics, metrics
from infra.scalars import SCALARS, Scalar, of_logged
from infra.scalars.page import PAGE, page
from trainer.runlog.names import scalars_of_step
from trainer.step.report import StepReport

PREFIX = "rewardstream_"


def full_line() -> dict:
    """A step that measured everything, each number another one."""
    report = {field.name: float(place + 1) for place, field in enumerate(fields(StepReport))}
    report |= {"skipped": [{}, {}], "skipped_updates": 2, "version": 3, "seconds": {"total": 2.5, "publish": 0.5}}
    return report | {
        "reward": 0.5,
        "rewards": {"mathematics": 0.25},
        "staleness_mean": 1.0,
        "staleness_max": 2,
        "token_staleness": 0.75,
        "token_staleness_quantiles": {"p50": 0, "p90": 1, "p99": 2, "max": 2},
        "groups": 2,
        "trajectories": 8,
        "response_tokens": 12.5,
    }


def test_prometheus_serves_the_table_and_nothing_else():
    assert metrics.policy_version
    served = {
        family.name.removeprefix(PREFIX): family.documentation
        for family in REGISTRY.collect()
        if family.name.startswith(PREFIX)
    }
    assert served == {scalar.metric: scalar.help for scalar in SCALARS if scalar.metric}


def test_every_number_of_a_step_is_logged_under_a_name_of_the_table():
    line = full_line()
    named = scalars_of_step(line)
    assert all(of_logged(name) for name in named)
    numbers = {field.name for field in fields(StepReport) if isinstance(line[field.name], float)}
    assert {name for name in numbers if line[name] not in named.values()} == set()
    assert (named["reward/mathematics"], named["seconds/publish"], named["skipped_updates"]) == (0.25, 0.5, 2)
    assert (named["staleness/mean"], named["staleness/max"], named["token_staleness/p50"]) == (1, 2, 0)


def test_every_logged_name_of_the_table_is_of_a_step_or_an_evaluation():
    assert [scalar.name for scalar in SCALARS if scalar.logged and not scalar.field] == ["heldout_score"]
    assert all(scalar.values(full_line()) for scalar in SCALARS if scalar.field)


def test_what_a_step_did_not_measure_is_not_logged():
    named = scalars_of_step(full_line() | {"explained_variance": None, "kl": float("nan")})
    assert not named.keys() & {"explained_variance", "kl"}


def test_a_step_sets_the_gauges_of_its_fields():
    registry = CollectorRegistry()
    mine = Metrics(registry)
    mine.set_gauges(full_line())
    mine.set_gauges(full_line() | {"rewards": {"knowledge": 0.5}, "logprob_diff_mean": None, "version": 4})
    values = {
        "policy_version": 4,
        "learner_entropy": full_line()["entropy"],
        "learner_logprob_diff": full_line()["logprob_diff_mean"],
        "learner_tokens_total": 0,  # a counter is moved where tokens are counted
    }
    labels = {"learner_logprob_diff": {"kind": "mean"}, "learner_tokens_total": {"kind": "target"}}
    for name, value in values.items():
        assert registry.get_sample_value(PREFIX + name, labels.get(name, {})) == value
    rewards = [
        registry.get_sample_value(f"{PREFIX}learner_reward", {"domain": name}) for name in ("mathematics", "knowledge")
    ]
    assert rewards == [0.25, 0.5]


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


def test_names_are_used_once():
    for names in ([s.metric for s in SCALARS if s.metric], [s.logged for s in SCALARS if s.logged]):
        assert len(names) == len(set(names))


def test_the_page_of_scalars_is_made_of_the_table():
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m infra.scalars.page"


def test_an_unknown_name_is_refused():
    with pytest.raises(KeyError, match="infra/scalars"):
        of_logged("loss/policy/deeper")
