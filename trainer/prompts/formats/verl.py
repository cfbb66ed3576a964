"""verl's columns: data_source, prompt, ability, reward_model {style, ground_truth}, extra_info.

Invariant: a row of a rule goes to the scorer that its data_source is known by, and to no other. `style` may say more
than `rule` (DAPO-Math-17k: `rule-lighteval/MATH_v2`); what follows is another name of the source.

Source: verl's `default_compute_score` and its dataset documentation.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from trainer.prompts.dataset_errors import RowError
from trainer.prompts.formats.row_format import Columns, Row
from trainer.prompts.formats.scorer_rules import GENRM, ScorerRules, known_scorer
from trainer.prompts.formats.truths import scored_by

_ABILITIES = {"math": "math", "mathematics": "math", "code": "code", "coding": "code"}
_IMAGES = ("images", "videos")


class Verl:
    name: ClassVar[str] = "verl"
    reads: ClassVar[Columns] = frozenset(
        {"data_source", "prompt", "ability", "reward_model", "extra_info", "domain", "verifier", *_IMAGES}
    )

    def recognises(self, columns: Columns, first: Sequence[Row]) -> bool:  # noqa: ARG002  the columns say it all
        return "reward_model" in columns

    def convert(self, row: Row, rules: ScorerRules) -> dict[str, Any]:
        reward, extra = row["reward_model"], row.get("extra_info") or {}
        if not isinstance(reward, Mapping) or not isinstance(extra, Mapping):
            raise RowError("reward_model and extra_info must be objects, as in verl's format")
        if any(row.get(name) for name in _IMAGES):
            raise RowError("the prompt has images or videos, and policies here read text alone")
        source, prompt = row.get("data_source"), row.get("prompt")
        scorer = _scorer(row, reward, rules)
        asked = prompt[-1].get("content") if isinstance(prompt, list) and prompt and _is_turn(prompt[-1]) else prompt
        columns = scored_by(
            scorer,
            reward.get("ground_truth"),
            entry_point=_text(reward.get("entry_point") or extra.get("entry_point")),
            prompt=_text(asked),
        )
        split = extra.get("split")
        return columns | {
            "domain": row.get("ability") or source,
            "prompt": prompt,
            "split": split,
            "source": ":".join(str(part) for part in (source, extra.get("index")) if part is not None),
        }


def _scorer(row: Row, reward: Mapping[str, Any], rules: ScorerRules) -> str:
    """Raises RowError."""
    style = reward.get("style")
    if style == "model":
        return GENRM
    if not isinstance(style, str) or (style != "rule" and not style.startswith("rule-")):
        raise RowError(f"reward_model.style is {style!r}: expected 'rule' (a verifier) or 'model' (the judge)")
    named = row.get("verifier")
    if named:
        return str(named)
    source = row.get("data_source")
    ability = _ABILITIES.get(str(row.get("ability") or "").lower())
    known = known_scorer(style.removeprefix("rule-")) or ability
    return rules.choose(str(source) if source is not None else None, known)


def _is_turn(value: Any) -> bool:
    return isinstance(value, Mapping)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
