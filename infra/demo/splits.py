"""Assigns every topic and number pair to exactly one split; the words of passages are assigned in their file.

Invariant: number pairs are unordered: 3 and 4 are one pair in every task.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "data"
SEED = 17
"""Fixes the splits for every run and every seed of a run."""


class Split(StrEnum):
    SFT = "sft"
    TRAIN = "train"
    """Original prompts."""
    NEW = "new"
    """Candidates for Pre-PPO."""
    HELDOUT = "heldout"


@dataclass(frozen=True, slots=True)
class WritingTopic:
    name: str
    verb: str
    """`matter` or `matters`."""

    @property
    def stem(self) -> str:
        """The part that singular and plural share: `butterfl` for butterflies."""
        word = self.name.split()[-1]
        for ending in ("ies", "ves", "oes"):
            if word.endswith(ending):
                return word.removesuffix(ending)
        return word.removesuffix("s")


def load(name: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((DATA / name).read_text(encoding="utf-8"))
    return data


@cache
def topics() -> dict[Split, tuple[WritingTopic, ...]]:
    listed = {Split(split): names for split, names in load("topics.json").items()}
    listed[Split.SFT] = {name: entry["verb"] for name, entry in load("sentences.json").items()}
    return {split: tuple(WritingTopic(name, verb) for name, verb in names.items()) for split, names in listed.items()}


def pair_split(first: int, second: int) -> Split:
    """Returns the split of an unordered pair of numbers: 10 % SFT, 40 % train, 25 % new, 25 % held out."""
    low, high = sorted((first, second))
    share = hashlib.sha256(f"{SEED}:{low}:{high}".encode()).digest()[0] / 256
    for split, upper in ((Split.SFT, 0.1), (Split.TRAIN, 0.5), (Split.NEW, 0.75)):
        if share < upper:
            return split
    return Split.HELDOUT


def chain_split(numbers: Sequence[int]) -> Split | None:
    """Returns the split of a list of numbers by its pairs of neighbours, or None if they are in different splits. As an
    exception, SFT pairs may mix with train or new pairs, but never with held-out pairs.
    """
    splits = [pair_split(first, second) for first, second in pairwise(numbers)]
    if splits[-1] is Split.SFT and Split.HELDOUT not in splits:
        return Split.SFT
    if Split.HELDOUT in splits:
        return Split.HELDOUT if set(splits) == {Split.HELDOUT} else None
    rest = set(splits) - {Split.SFT}
    return rest.pop() if len(rest) == 1 else None
