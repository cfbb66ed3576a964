"""What a selection round depends on except for the statistics, as a value: the settings, the rules with their options,
the round and the version.

Invariant: a round stores its plan (`SelectionRound.settings`), so that its decisions can be explained, and made again,
after the settings have changed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from infra.settings.tree import PrePPOSettings, Settings
from trainer.curriculum.rules.base import RoundContext, SelectionRule
from trainer.curriculum.rules.registry import open_rule


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectionPlan:
    preppo: PrePPOSettings
    decay: float
    """Weight of a prompt's evidence after one version."""
    context: RoundContext
    rules: tuple[SelectionRule, ...]
    """Every rule that decides on a domain; a statement knows them by their index."""

    @classmethod
    def of(cls, settings: Settings, round_: int, version: int) -> Self:
        """Raises SelectionRuleError if the settings name a rule, or an option, that does not exist."""
        context = RoundContext(
            seed=settings.run.seed, round=round_, version=version, group_size=settings.selector.group_size
        )
        return cls._open(settings.selector.preppo, settings.difficulty.decay_per_version, context)

    @classmethod
    def stored(cls, values: Mapping[str, Any], round_: int, version: int) -> Self:
        """The plan that a round stored. Raises SelectionRuleError if its rule is no longer installed."""
        context = RoundContext(seed=values["seed"], round=round_, version=version, group_size=values["group_size"])
        return cls._open(PrePPOSettings.model_validate(values["preppo"]), values["decay"], context)

    def as_json(self) -> dict[str, Any]:
        """What `stored` reads."""
        return {
            "preppo": self.preppo.model_dump(mode="json"),
            "decay": self.decay,
            "seed": self.context.seed,
            "group_size": self.context.group_size,
        }

    def rule(self, name: str) -> SelectionRule:
        return next(rule for rule in self.rules if rule.name == name)

    @property
    def weights(self) -> dict[str, float]:
        """The rules of the domains that have none of their own, and their weights."""
        return self.preppo.mixture or {self.preppo.rule: 1.0}

    @classmethod
    def _open(cls, preppo: PrePPOSettings, decay: float, context: RoundContext) -> Self:
        names = dict.fromkeys([*(preppo.mixture or (preppo.rule,)), *preppo.rule_by_domain.values()])
        rules = tuple(open_rule(name, preppo.options.get(name, {})) for name in names)
        return cls(preppo=preppo, decay=decay, context=context, rules=rules)
