"""Selection rules by name, from the entry points `rewardstream.selection_rules`.

Invariant: a name has one rule. Two distributions that claim one name are an error, not a race.
"""

from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from pydantic import ValidationError

from trainer.curriculum.rules.base import SelectionRule
from trainer.curriculum.rules.informative import Informative
from trainer.curriculum.rules.lowest import Lowest
from trainer.curriculum.rules.skip import Skip
from trainer.curriculum.rules.uniform import Uniform

GROUP = "rewardstream.selection_rules"
_OWN: Mapping[str, type[SelectionRule]] = {rule.name: rule for rule in (Lowest, Informative, Skip, Uniform)}
"""This project's rules. They are here and not among the entry points, so that they need no new installation."""


class SelectionRuleError(ValueError):
    """There is no such rule, or it does not have such an option; the text says which there are."""


def rule_names() -> list[str]:
    return sorted(_OWN.keys() | _points().keys())


def open_rule(name: str, options: Mapping[str, Any]) -> SelectionRule:
    """Returns the rule with these options. Raises SelectionRuleError."""
    own = _OWN.get(name)
    point = _points().get(name)
    if own is not None and point is not None:
        raise SelectionRuleError(f"{point.value} cannot be called {name!r}: that is a rule of this project")
    kind: type[SelectionRule] | None = own if point is None else point.load()
    if kind is None:
        raise SelectionRuleError(
            f"unknown selection rule {name!r}; installed are: {', '.join(rule_names())}. "
            "If it is new in a pyproject.toml, install that project again"
        )
    try:
        return kind.model_validate(dict(options))
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg'].lower()}" for fault in error.errors())
        known = ", ".join(kind.model_fields) or "none"
        raise SelectionRuleError(f"selector.preppo.options.{name}: {faults}; its options are: {known}") from error


@cache
def _points() -> dict[str, EntryPoint]:
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=GROUP):
        other = found.setdefault(point.name, point)
        if other.value != point.value:
            raise SelectionRuleError(f"two selection rules are called {point.name!r}: {other.value} and {point.value}")
    return found
