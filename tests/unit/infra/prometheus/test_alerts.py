"""Each alert fires when it shall, does not fire when it shall not, and has a paragraph that says what to do.

The cases are the YAML files beside this one, in promtool's own format. The test of an alert is called `NAME, when`, and
`NAME not, when` if it does not fire.
"""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

HERE = Path(__file__).parent
INFRA = HERE.parents[3] / "infra"
ALERTS = INFRA / "prometheus" / "alerts.yml"
RUNBOOKS = INFRA / "docs" / "runbooks.md"
CASES = sorted(HERE.glob("*.yml"))
ALL: list[dict[str, Any]] = [
    rule for group in yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"] for rule in group["rules"]
]
RULES = [rule for rule in ALL if "alert" in rule]
RECORDED: dict[str, str] = {rule["record"]: rule["expr"] for rule in ALL if "record" in rule}
METRIC = re.compile(r"\b(?:rewardstream_\w+|process_\w+|up)\b(?=[{\[\s)]|$)")


def promtool(*arguments: object) -> None:
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("promtool is not installed; it is part of Prometheus")
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def cases_of(alert: str, word: str) -> list[dict[str, Any]]:
    loaded = [test for file in CASES for test in yaml.safe_load(file.read_text(encoding="utf-8"))["tests"]]
    return [test for test in loaded if test["name"].startswith(f"{alert}{word}, ")]


def expanded(expression: str) -> str:
    """The expression with what it records."""
    for name, meant in RECORDED.items():
        expression = expression.replace(name, f"({meant})")
    return expression


def paragraphs() -> dict[str, str]:
    """Heading of the page of runbooks -> the text below it."""
    _, *parts = re.split(r"^## (\w+)\n", RUNBOOKS.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def test_the_rules_and_the_configuration_are_valid() -> None:
    promtool("check", "rules", ALERTS)
    promtool("check", "config", ALERTS.with_name("prometheus.yml"))


def test_the_alerts_fire_in_their_cases_only() -> None:
    promtool("test", "rules", *CASES)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_each_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not(rule: dict[str, Any]) -> None:
    for word, fires in (("", True), (" not", False)):
        tests = cases_of(rule["alert"], word)
        assert tests, f"no test is called `{rule['alert']}{word}, ...`"
        for test in tests:
            checks = [check for check in test["alert_rule_test"] if check["alertname"] == rule["alert"]]
            assert any(check["exp_alerts"] for check in checks) == fires, test["name"]
            assert checks, test["name"]
            given = {name for entry in test["input_series"] for name in METRIC.findall(entry["series"])}
            assert set(METRIC.findall(expanded(rule["expr"]))) <= given, (
                f"{test['name']}: without its metrics, a rule is silent"
            )


def test_each_recorded_series_is_used_and_named_by_its_labels() -> None:
    used = [rule["expr"] for rule in RULES]
    for name, meant in RECORDED.items():
        assert any(name in expression for expression in used), name
        labels = re.search(r"by \(([^)]*)\)", meant)
        assert labels
        assert name.partition(":")[0].split("_") == labels[1].split(", ")


def test_each_alert_leads_to_its_paragraph_and_each_paragraph_has_its_alert() -> None:
    page = RUNBOOKS.relative_to(INFRA.parent)
    for rule in RULES:
        assert rule["annotations"]["runbook_url"] == f"{page}#{rule['alert'].lower()}"
    assert list(paragraphs()) == [rule["alert"] for rule in RULES]


@pytest.mark.parametrize(("alert", "text"), paragraphs().items())
def test_a_paragraph_has_a_few_sentences(alert: str, text: str) -> None:
    sentences = re.findall(r"[.:](?=\s|$)", text)
    assert 2 <= len(sentences) <= 7, alert
