"""Other spellings of keys and values: `learner.normalize = "batch"`, `proximal = "behavior"`, `dtype = "bf16"`.

Invariant: a loaded tree has one spelling of everything. Only keys of a section and values of a fixed list are
translated; free text, such as a path or a domain, stays as it is.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from infra.settings.section import choices_of, section_of
from infra.settings.sources import InvalidSettingsError, Layer
from infra.settings.tree import Settings

SPELLINGS = {
    "normalize": "normalise",
    "centered": "centred",
    "behavior": "behaviour",
    "bf16": "bfloat16",
    "fp32": "float32",
}
"""Accepted spelling -> the tree's own."""


def canonical_layer(layer: Layer) -> Layer:
    """The layer with the tree's own spellings. Raises InvalidSettingsError if it gives a setting in both."""
    places = {canonical_path(path): place for path, place in layer.places.items()}
    return Layer(_canonical_values(Settings, layer.values, ""), places)


def canonical_path(path: str) -> str:
    """The dotted path with the tree's own keys; what the tree does not know stays as it is."""
    section: type[BaseModel] | None = Settings
    keys = []
    for given in path.split("."):
        key = given if section is None else _canonical_key(section, given)
        keys.append(key)
        field = None if section is None else section.model_fields.get(key)
        section = None if field is None else section_of(field.annotation)
    return ".".join(keys)


def _canonical_values(section: type[BaseModel], values: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for given, value in values.items():
        key = _canonical_key(section, given)
        if key in found:
            first, second = sorted(name for name in values if _canonical_key(section, name) == key)
            raise InvalidSettingsError(
                f"{prefix}{first} and {prefix}{second} are spellings of one setting: give it once"
            )
        field = section.model_fields.get(key)
        found[key] = value if field is None else _canonical_value(field.annotation, value, f"{prefix}{key}.")
    return found


def _canonical_value(annotation: Any, value: Any, prefix: str) -> Any:
    section = section_of(annotation)
    if section is not None:
        return _canonical_values(section, value, prefix) if isinstance(value, Mapping) else value
    choices = choices_of(annotation)
    return SPELLINGS[value] if isinstance(value, str) and SPELLINGS.get(value) in choices else value


def _canonical_key(section: type[BaseModel], given: str) -> str:
    known = SPELLINGS.get(given, given)
    return known if known in section.model_fields else given
