"""Assigns every fact, topic and number pair to exactly one split.

Invariant: facts that share a word (the subject, or either word of a pair of opposites) are in the same split, so no
held-out answer can be inferred from training data. Number pairs are unordered: 3 and 4 are one pair in every task.
"""

import hashlib
import json
import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
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


_PATTERN = (
    Split.TRAIN, Split.HELDOUT, Split.NEW, Split.TRAIN, Split.SFT,
    Split.NEW, Split.TRAIN, Split.HELDOUT, Split.NEW, Split.TRAIN,
)  # fmt: skip
"""Facts of each kind are assigned to splits in this order: 40 % train, 30 % new, 20 % held out, 10 % SFT."""


@dataclass(frozen=True, slots=True)
class Fact:
    kind: str
    subject: str
    answer: str


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
def facts() -> dict[Split, tuple[Fact, ...]]:
    """Returns every fact once, by split, in a fixed shuffled order."""
    rng = random.Random(SEED)
    dealt: dict[Split, list[Fact]] = {split: [] for split in Split}
    decks: dict[tuple[str, ...], list[list[Fact]]] = defaultdict(list)
    for cluster in _cluster_facts(_load_facts()):
        decks[tuple(sorted({fact.kind for fact in cluster}))].append(cluster)
    for _, deck in sorted(decks.items()):
        rng.shuffle(deck)
        start = rng.randrange(len(_PATTERN))
        for number, cluster in enumerate(deck):
            dealt[_PATTERN[(start + number) % len(_PATTERN)]].extend(cluster)
    return {split: tuple(rng.sample(found, len(found))) for split, found in dealt.items()}


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


def _load_facts() -> list[Fact]:
    data = load("facts.json")
    found = list(_country_facts(data.pop("countries")))
    for kind, pairs in data.items():
        found.extend(Fact(kind, subject, answer) for subject, answer in pairs)
    return found


def _country_facts(names: Iterable[str]) -> Iterable[Fact]:
    """Yields capitals and continents from the countryinfo package."""
    from countryinfo import CountryInfo

    for name in names:
        info = CountryInfo(name).info()
        if " " not in info["capital"]:
            yield Fact("capital", name, info["capital"])
        if info["region"] in {"Africa", "Asia", "Europe"}:
            yield Fact("continent", name, info["region"])


def _linking_words(fact: Fact) -> tuple[str, ...]:
    """Returns the words that link a fact to others. Many facts share answers such as `fish` or `Asia`: these do not
    link.
    """
    inverse = fact.kind in {"opposite", "feminine", "capital", "plural", "past", "comparative"}
    return (fact.subject.lower(), fact.answer.lower()) if inverse else (fact.subject.lower(),)


def _cluster_facts(found: list[Fact]) -> list[list[Fact]]:
    """Returns the connected components of facts that share a word."""
    root: dict[str, str] = {}

    def find(word: str) -> str:
        while root.setdefault(word, word) != word:
            word = root[word]
        return word

    for fact in found:
        first, *others = map(find, _linking_words(fact))
        for other in others:
            root[find(other)] = first
    clusters: dict[str, list[Fact]] = defaultdict(list)
    for fact in found:
        clusters[find(fact.subject.lower())].append(fact)
    return list(clusters.values())
