"""The reference of the settings: whole, with units, and what the page shows."""

import re

from infra.settings.load import leaves
from infra.settings.page import PAGE, page
from infra.settings.reference import SettingReference, describe_settings, matching, to_json
from infra.settings.tree import Settings

SECTIONS = describe_settings()
OPTIONS = [setting for section in SECTIONS for setting in section.settings]


def option(path: str) -> SettingReference:
    return next(setting for setting in OPTIONS if setting.path == path)


def paths(name: str) -> list[str]:
    return [setting.path for section in matching(name, SECTIONS) for setting in section.settings]


def test_every_option_of_the_tree_is_described() -> None:
    assert {setting.path for setting in OPTIONS} == {path for path, _ in leaves(Settings())}


def test_every_option_says_what_it_is() -> None:
    """Whole sentences, the first of which has a subject."""
    sentence = re.compile(r"(?!(Of|By|As|That|Whose|Where|What)\b)[A-Z`].{14,}\.")
    assert [setting.path for setting in OPTIONS if not sentence.fullmatch(setting.meaning)] == []


def test_exactly_the_numbers_name_a_unit() -> None:
    number = re.compile(r"\b(integer|number)\b")
    numbers = {setting.path for setting in OPTIONS if number.search(setting.allowed) and "text" not in setting.allowed}
    assert {setting.path for setting in OPTIONS if setting.unit} == numbers
    assert len(numbers) > 80


def test_every_section_is_described() -> None:
    assert all(section.meaning.endswith(".") for section in SECTIONS)


def test_allowed_values_are_those_of_the_types() -> None:
    assert option("learner.gamma").allowed == "number >= 0 and <= 1"
    assert option("broker.kind").allowed == "auto | embedded | kafka | cluster"
    assert option("learner.loggers").allowed == "list of tensorboard | wandb"
    assert option("learner.betas").allowed == "list of 2 x number"
    assert option("data.prompts").allowed == "path or none"
    assert option("rollout.sampling.max_new_tokens_by_domain").allowed == "table of integer >= 1"
    assert option("rtv.sandbox.interpreters").allowed == "table of list of text at least 1"


def test_a_name_is_an_option_a_section_or_a_part() -> None:
    assert paths("learner.kl.coefficient") == ["learner.kl.coefficient"]
    assert paths("learner.overlong") == [f"learner.overlong.{name}" for name in ("penalty", "penalty_share", "mask")]
    assert paths("canary") == ["genrm.canary_every", "genrm.canary_alarm", "genrm.canary_window"]
    assert paths("normalize") == paths("normalise") == ["learner.normalise"]
    assert paths("no such thing") == []


def test_json_has_the_default_as_a_value() -> None:
    found = to_json(matching("learner.betas", SECTIONS))
    assert found["learner.betas"]["default"] == [0.9, 0.95]
    assert to_json(matching("broker.kind", SECTIONS))["broker.kind"]["default"] == "auto"
    assert to_json(matching("data.prompts", SECTIONS))["data.prompts"]["default"] is None


def test_the_page_is_made_of_the_sections() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m infra.settings.page"
