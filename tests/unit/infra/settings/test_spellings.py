"""Other spellings of keys and values: accepted in every layer, and gone from the loaded tree."""

import re
from pathlib import Path

import pytest

from infra.settings.load import load
from infra.settings.section import choices_of, section_of
from infra.settings.sources import InvalidSettingsError, parse_assignment
from infra.settings.spellings import SPELLINGS, canonical_path
from infra.settings.tree import Settings

RECIPE = """\
[learner]
advantage = "centered"
normalize = "batch"
param_dtype = "bf16"
value.kind = "none"

[learner.objective]
proximal = "behavior"
"""


@pytest.fixture
def recipe(tmp_path: Path) -> str:
    path = tmp_path / "american.toml"
    path.write_text(RECIPE)
    return str(path)


def words(section=Settings) -> set[str]:
    """Every key of the tree, and every value that is one of a list."""
    found: set[str] = set()
    for name, field in section.model_fields.items():
        inner = section_of(field.annotation)
        found |= {name} | (words(inner) if inner else set(map(str, choices_of(field.annotation))))
    return found


def test_a_recipe_in_the_other_spelling_loads_to_one_spelling(recipe: str) -> None:
    found = load(recipe)
    learner = found.settings.learner
    assert (learner.advantage, learner.normalise, learner.param_dtype) == ("centred", "batch", "bfloat16")
    assert learner.objective.proximal == "behaviour"
    assert found.sources["learner.normalise"] == f"{recipe}:3"
    assert not re.search(rf"\b({'|'.join(SPELLINGS)})\b", str(found.settings.model_dump()))


def test_layers_in_different_spellings_are_one_setting(recipe: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REWARDSTREAM_LEARNER__NORMALISE", "none")
    assert load(recipe).settings.learner.normalise == "none"
    monkeypatch.setenv("REWARDSTREAM_LEARNER__OBJECTIVE__PROXIMAL", "behavior")
    found = load(recipe, [parse_assignment("learner.normalize=auto")])
    assert found.settings.learner.normalise == "auto"
    assert found.settings.learner.objective.proximal == "behaviour"
    assert found.sources["learner.normalise"] == "option --set learner.normalize=auto"
    assert found.sources["learner.objective.proximal"].endswith("REWARDSTREAM_LEARNER__OBJECTIVE__PROXIMAL")


def test_the_same_setting_in_both_spellings_of_one_layer_is_refused() -> None:
    options = [parse_assignment("learner.normalize=auto"), parse_assignment("learner.normalise=batch")]
    with pytest.raises(InvalidSettingsError, match=r"learner\.normalise and learner\.normalize are spellings of one"):
        load(None, options)


def test_free_text_keeps_its_spelling() -> None:
    options = ["model.path=behavior", 'selector.domain_shares={"behavior": 2, "normalize": 1}', "genrm.model=bf16"]
    settings = load(None, [parse_assignment(text) for text in options]).settings
    assert (settings.model.path, settings.genrm.model) == ("behavior", "bf16")
    assert settings.selector.domain_shares == {"behavior": 2, "normalize": 1}


def test_a_value_of_no_list_is_refused_as_it_was_typed() -> None:
    with pytest.raises(InvalidSettingsError, match="'behaviors'"):
        load(None, [parse_assignment("learner.objective.proximal=behaviors")])


def test_paths_are_translated_key_by_key() -> None:
    assert canonical_path("learner.normalize") == "learner.normalise"
    assert canonical_path("selector.domain_shares.normalize") == "selector.domain_shares.normalize"
    assert canonical_path("nowhere.normalize") == "nowhere.normalize"


def test_every_spelling_is_of_a_word_in_the_tree() -> None:
    assert set(SPELLINGS.values()) <= words()
    assert not SPELLINGS.keys() & words()
