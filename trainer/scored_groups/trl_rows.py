"""Scored groups as rows for TRL's trainers: the conversational forms of its page "Dataset formats and types".

Invariant: a row holds only what the policy wrote and a scorer scored; groups that cannot be told as a row give none.
TRL tokenises the text again with the model's chat template, so it does not train on the engine's token ids; a learner
that does takes `ScoredSample.tokens`.
"""

from collections.abc import Iterable, Iterator
from typing import TypedDict

from trainer.scored_groups.scored_group import ScoredGroup, ScoredSample

Turns = list[dict[str, str]]


class PreferenceRow(TypedDict):
    """A row of DPOTrainer: explicit prompt, preferred and other response."""

    prompt: Turns
    chosen: Turns
    rejected: Turns


class DesirabilityRow(TypedDict):
    """A row of KTOTrainer: one response, and whether it is desirable."""

    prompt: Turns
    completion: Turns
    label: bool


def preference_rows(groups: Iterable[ScoredGroup]) -> Iterator[PreferenceRow]:
    """Yields the best against the worst response of each group whose scores differ and whose prompt is in the log; of
    equal ones, the first.
    """
    for group in groups:
        scored = _scored(group)
        if group.messages is None or not scored:
            continue
        best, worst = max(scored, key=_score), min(scored, key=_score)
        if _score(best) > _score(worst):
            yield {"prompt": list(group.messages), "chosen": _turn(best), "rejected": _turn(worst)}


def labelled_rows(groups: Iterable[ScoredGroup], threshold: float = 0.5) -> Iterator[DesirabilityRow]:
    """Yields each response with a score; it is desirable if its score is above `threshold`."""
    for group in groups:
        if group.messages is not None:
            for sample in _scored(group):
                label = _score(sample) > threshold
                yield {"prompt": list(group.messages), "completion": _turn(sample), "label": label}


def _scored(group: ScoredGroup) -> list[ScoredSample]:
    return [sample for sample in group.samples if sample.score is not None]


def _score(sample: ScoredSample) -> float:
    assert sample.score is not None
    return sample.score


def _turn(sample: ScoredSample) -> Turns:
    return [{"role": "assistant", "content": sample.text}]
