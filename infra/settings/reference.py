"""The settings as a list: what each option means, its unit, default and allowed values.

Invariant: everything is read from the sections' own fields, so that the command `settings` and the page README.md say
what the tree says.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin

from annotated_types import Ge, Gt, Le, MinLen
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from infra.settings.section import AllowedValues, NumberUnit, choices_of, section_of
from infra.settings.spellings import SPELLINGS
from infra.settings.tree import Settings

_KINDS = {
    bool: "true or false",
    int: "integer",
    float: "number",
    str: "text",
    Path: "path",
    SecretStr: "text, a secret",
}
_BOUNDS = ((Ge, "ge", ">="), (Gt, "gt", ">"), (Le, "le", "<="))


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingReference:
    """One option."""

    path: str
    """Dotted name, as in a recipe and after --set."""
    meaning: str
    """Meaning of the option, and the reason for its default."""
    unit: str
    """NumberUnit of a number; empty for everything else."""
    default: Any
    """The default as a JSON value."""
    allowed: str
    """The values that are accepted."""

    @property
    def default_text(self) -> str:
        return json.dumps(self.default)


@dataclass(frozen=True, slots=True, kw_only=True)
class SectionReference:
    """One section with its own options, without those of the sections in it."""

    path: str
    meaning: str
    settings: Sequence[SettingReference] = field(default_factory=tuple)


def describe_settings() -> list[SectionReference]:
    """Every section that has options of its own, in the order of the tree."""
    return [section for section in _walk_sections(Settings, "") if section.settings]


def matching(name: str, sections: Sequence[SectionReference]) -> list[SectionReference]:
    """The sections with the options that `name` means: an option's path, a section's path, or a part of either."""
    name = ".".join(SPELLINGS.get(part, part) for part in name.split("."))
    everything = [setting.path for section in sections for setting in section.settings]
    if name in everything:
        chosen = {name}
    else:
        below = {path for path in everything if path.startswith(f"{name}.")}
        chosen = below or {path for path in everything if name in path}
    kept = (
        SectionReference(
            path=section.path,
            meaning=section.meaning,
            settings=[setting for setting in section.settings if setting.path in chosen],
        )
        for section in sections
    )
    return [section for section in kept if section.settings]


def to_json(sections: Sequence[SectionReference]) -> dict[str, Mapping[str, Any]]:
    """Path -> meaning, unit, default and allowed values."""
    return {
        setting.path: {
            "meaning": setting.meaning,
            "unit": setting.unit or None,
            "default": setting.default,
            "allowed": setting.allowed,
        }
        for section in sections
        for setting in section.settings
    }


def _walk_sections(section: type[BaseModel], path: str) -> Iterator[SectionReference]:
    prefix = f"{path}." if path else ""
    below: list[tuple[type[BaseModel], str]] = []
    settings = []
    for name, info in section.model_fields.items():
        inner = section_of(info.annotation)
        if inner is None:
            settings.append(_describe_setting(f"{prefix}{name}", info))
        else:
            below.append((inner, f"{prefix}{name}"))
    yield SectionReference(path=path, meaning=_join_lines(section.__doc__ or ""), settings=settings)
    for subsection, name in below:
        yield from _walk_sections(subsection, name)


def _describe_setting(path: str, info: FieldInfo) -> SettingReference:
    return SettingReference(
        path=path,
        meaning=_join_lines(info.description or ""),
        unit=next((item.name for item in info.metadata if isinstance(item, NumberUnit)), ""),
        default=to_jsonable_python(info.default),
        allowed=_allowed_values(info.annotation, info.metadata),
    )


def _allowed_values(annotation: Any, metadata: Sequence[Any]) -> str:
    origin, arguments, choices = get_origin(annotation), get_args(annotation), choices_of(annotation)
    if origin is UnionType:
        return " or ".join("none" if part is type(None) else _allowed_values(part, ()) for part in arguments)
    if origin is dict:
        return f"table of {_allowed_entries(arguments[1])}"
    if origin is tuple:
        length = "" if Ellipsis in arguments else f"{len(arguments)} x "
        return f"list of {length}{_join_values(choices) or _allowed_values(arguments[0], ())}{_format_bounds(metadata)}"
    return _join_values(choices) or f"{_KINDS.get(annotation, 'text')}{_format_bounds(metadata)}"


def _allowed_entries(annotation: Any) -> str:
    """A value of a table, which has its bounds in its own type."""
    told = [info.text for info in getattr(annotation, "__metadata__", ()) if isinstance(info, AllowedValues)]
    if told:
        return told[0]
    metadata = [item for info in getattr(annotation, "__metadata__", ()) for item in getattr(info, "metadata", ())]
    return _allowed_values(get_args(annotation)[0] if metadata else annotation, metadata)


def _format_bounds(metadata: Sequence[Any]) -> str:
    found = [
        f"{sign} {getattr(item, attribute):g}"
        for item in metadata
        for kind, attribute, sign in _BOUNDS
        if isinstance(item, kind)
    ]
    found += [f"at least {item.min_length}" for item in metadata if isinstance(item, MinLen)]
    return f" {' and '.join(found)}" if found else ""


def _join_values(values: Sequence[Any]) -> str:
    return " | ".join(str(value) for value in values)


def _join_lines(text: str) -> str:
    return " ".join(text.split())
