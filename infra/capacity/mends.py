"""Changes of the settings that save memory of the learner, in the order of what they cost.

Invariant: a mend that is named makes the learner fit, by itself or together with the changes that are named with it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from infra.settings.tree import Settings

LOGITS_CHUNK = 1024
"""Targets whose logits exist at a time: 0.6 GiB with a vocabulary of 152,000, twice."""
LORA_RANK = 32


@dataclass(frozen=True, slots=True)
class Change:
    """Values by dotted path."""

    values: Mapping[str, Any]

    def __str__(self) -> str:
        assignments = (f"{path} = {_toml(value)}" for path, value in self.values.items())
        return "set " + " and ".join(assignments)


def learner_mends(settings: Settings, fits: Callable[[Change], bool], *, most_processes: int) -> list[str]:
    """The single changes that make the learner fit; if there is none, the fewest of them, in their order, that do so
    together. Empty if nothing does.
    """
    changes = [change for change in _candidates(settings, most_processes) if _applies(settings, change)]
    single = [change for change in changes if fits(change)]
    if single:
        return [str(change) for change in single]
    together: list[Change] = []
    for change in changes:
        if _applies(settings, _all_of([*together, change])):
            together.append(change)
            if fits(_all_of(together)):
                return [str(_all_of(_without_needless(together, fits)))]
    return []


def changed(settings: Settings, change: Change) -> Settings:
    """The settings with the change. Raises pydantic.ValidationError if they do not go together."""
    values = settings.model_dump()
    for path, value in change.values.items():
        *sections, last = path.split(".")
        section = values
        for name in sections:
            section = section[name]
        section[last] = value
    return Settings.model_validate(values)


def _candidates(settings: Settings, most_processes: int) -> list[Change]:
    learner, sampling = settings.learner, settings.rollout.sampling
    longest = max(sampling.max_new_tokens, *sampling.max_new_tokens_by_domain.values(), 1)
    found = []
    if not learner.logits_chunk_tokens or learner.logits_chunk_tokens > LOGITS_CHUNK:
        found.append(Change({"learner.logits_chunk_tokens": LOGITS_CHUNK}))
    if not learner.gradient_checkpointing:
        found.append(Change({"learner.gradient_checkpointing": True}))
    if learner.packed_row_tokens > longest:
        found.append(Change({"learner.packed_row_tokens": max(64, longest)}))
    processes = learner.processes
    while processes < most_processes:
        processes = min(2 * processes, most_processes)
        found.append(Change({"learner.processes": processes}))
    if learner.param_dtype == "float32" and learner.processes == 1:
        found.append(Change({"learner.param_dtype": "bfloat16", "learner.fp32_masters": False}))
    if learner.value.kind == "model":
        found.append(Change({"learner.value.kind": "head", "learner.value.path": ""}))
    if not learner.lora.rank:
        found.append(Change({"learner.lora.rank": LORA_RANK}))
    return found


def _applies(settings: Settings, change: Change) -> bool:
    try:
        changed(settings, change)
    except ValidationError:
        return False
    return True


def _all_of(changes: Sequence[Change]) -> Change:
    """The changes together; later ones win."""
    return Change({path: value for change in changes for path, value in change.values.items()})


def _without_needless(changes: Sequence[Change], fits: Callable[[Change], bool]) -> list[Change]:
    needed = list(changes)
    for change in changes:
        fewer = [other for other in needed if other is not change]
        if fits(_all_of(fewer)):
            needed = fewer
    return needed


def _toml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value)
