"""Who may see what: every fact, topic and number pair belongs to exactly one split.

Invariant: facts that share a word (subject, or either word of a pair of opposites) are in the same split, so nothing
held out can be read off anything trained on. Number pairs are unordered: 3 and 4 are one pair in every task.
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
"""Facts are dealt in this order within each kind: 40 % train, 30 % new, 20 % held out, 10 % SFT."""


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
        """Found in singular and plural alike: `butterfl` for butterflies."""
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
    """Every fact once, by split, in a fixed shuffled order."""
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
    """The split of an unordered pair of numbers: 10 % SFT, 40 % train, 25 % new, 25 % held out."""
    low, high = sorted((first, second))
    share = hashlib.sha256(f"{SEED}:{low}:{high}".encode()).digest()[0] / 256
    for split, upper in ((Split.SFT, 0.1), (Split.TRAIN, 0.5), (Split.NEW, 0.75)):
        if share < upper:
            return split
    return Split.HELDOUT


def chain_split(numbers: Sequence[int]) -> Split | None:
    """The split of a list of numbers, by its pairs of neighbours; None where they lie in two. Only pairs of the SFT
    may stand among others, and others among the SFT's, but none that is held out.
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
    """Capitals and continents from the countryinfo package."""
    from countryinfo import CountryInfo

    for name in names:
        info = CountryInfo(name).info()
        if " " not in info["capital"]:
            yield Fact("capital", name, info["capital"])
        if info["region"] in {"Africa", "Asia", "Europe"}:
            yield Fact("continent", name, info["region"])


def _linking_words(fact: Fact) -> tuple[str, ...]:
    """What ties a fact to others; answers such as `fish` or `Asia` are shared by many and tie nothing."""
    inverse = fact.kind in {"opposite", "feminine", "capital", "plural", "past", "comparative"}
    return (fact.subject.lower(), fact.answer.lower()) if inverse else (fact.subject.lower(),)


def _cluster_facts(found: list[Fact]) -> list[list[Fact]]:
    """Connected components of facts that share a word."""
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
