"""`rewardstream settings`: the whole list, a part of it, and a name that means nothing."""

import json
import re

import pytest
from rich.console import Console

from infra.cli.errors import ExitCode
from infra.cli.settings import print_settings
from infra.settings.load import leaves
from infra.settings.reference import describe_settings
from infra.settings.tree import Settings


def test_every_option_is_printed_in_eighty_columns(rewardstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    code, out, _ = rewardstream("settings")
    assert code == 0
    assert {line.split(" = ")[0] for line in out.splitlines() if " = " in line} >= {
        path for path, _ in leaves(Settings())
    }
    assert max(map(len, out.splitlines())) <= 80
    assert "\x1b" not in out


def test_a_part_of_a_name_prints_meaning_unit_default_and_allowed_values(rewardstream) -> None:
    code, out, _ = rewardstream("settings", "max_staleness")
    assert code == 0
    head, option, allowed, *meaning = out.strip().splitlines()
    assert head.startswith("learner: ")
    assert option == "learner.max_staleness = 4"
    assert allowed.strip() == "integer >= 0; unit: versions"
    assert "dropped as stale" in " ".join(meaning)


def test_json_names_every_option_of_a_section(rewardstream) -> None:
    found = json.loads(rewardstream("settings", "learner.kl", "--json")[1])
    assert list(found) == [f"learner.kl.{name}" for name in Settings().learner.kl.model_dump()]
    assert found["learner.kl.coefficient"]["default"] == 0.001
    assert found["learner.kl.estimator"]["allowed"] == "k1 | k2 | k3"


def test_an_unknown_name_is_a_usage_error_with_close_matches(rewardstream) -> None:
    code, out, err = rewardstream("settings", "learnig_rate")
    assert (code, out) == (ExitCode.USAGE, "")
    assert "did you mean learner.value.learning_rate or learner.learning_rate?" in err


def test_a_terminal_gets_colours_and_short_lines() -> None:
    console = Console(force_terminal=True, width=200, color_system="standard")
    with console.capture() as shown:
        print_settings(describe_settings(), console)
    assert "\x1b[36mlearner.kl.coefficient\x1b[0m" in shown.get()
    assert max(map(len, re.sub(r"\x1b\[[\d;]*m", "", shown.get()).splitlines())) <= 100
