"""The base class of every section of the settings, and the types that several sections use.

Invariant: the string below a field is its description, which `rewardstream settings` prints; a number names its unit.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field


@dataclass(frozen=True, slots=True)
class NumberUnit:
    """The unit of a number, as metadata of its type."""

    name: str


@dataclass(frozen=True, slots=True)
class AllowedValues:
    """What a type allows, in words, as metadata of a type whose parts do not say it."""

    text: str


Fraction = Annotated[float, Field(ge=0, le=1), NumberUnit("fraction")]
Seconds = Annotated[float, Field(gt=0), NumberUnit("seconds")]
Threads = Annotated[int, Field(ge=0), NumberUnit("threads")]


class SettingsSection(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_default=True, use_attribute_docstrings=True, hide_input_in_errors=True
    )


def section_of(annotation: Any) -> type[SettingsSection] | None:
    """The section that a field holds; None if the field is an option."""
    return annotation if isinstance(annotation, type) and issubclass(annotation, SettingsSection) else None


def choices_of(annotation: Any) -> tuple[Any, ...]:
    """The values that a type lists; empty if it lists none. Those of a tuple are its items'."""
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return tuple(member.value for member in annotation)
    if get_origin(annotation) is tuple:
        return choices_of(get_args(annotation)[0])
    return ()
