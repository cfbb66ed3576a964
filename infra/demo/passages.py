"""Reading tasks: a short passage of generated facts, and a question whose answer is one word of the passage.

Invariant: the names and words of a split's passages occur in no passage of another split, so a held-out answer cannot
be known from training: what carries over is the skill of finding it.
"""

import random
from dataclasses import dataclass
from functools import cache
from typing import Any

from infra.demo.splits import SEED, Split, load


@dataclass(frozen=True, slots=True)
class Relation:
    """How a fact about a person is told, and how either end of it is asked for."""

    fact: str
    """Takes the person and the word."""
    ask_word: str
    """Takes the person."""
    ask_person: str
    """Takes the word."""


RELATIONS = {
    "eats": Relation("{} eats {}.", "What does {} eat?", "Who eats {}?"),
    "place": Relation("{} is in the {}.", "Where is {}?", "Who is in the {}?"),
    "pet": Relation("{} has a {}.", "Which animal does {} have?", "Who has a {}?"),
    "job": Relation("{} is a {}.", "What is the job of {}?", "Who is a {}?"),
    "plays": Relation("{} plays the {}.", "Which instrument does {} play?", "Who plays the {}?"),
    "colour": Relation("{} likes the colour {}.", "Which colour does {} like?", "Who likes the colour {}?"),
    "carries": Relation("{} carries a {}.", "What does {} carry?", "Who carries a {}?"),
}


READING_KINDS = ("what_2", "what_3", "what_4", "who_2", "who_3", "who_4")
_ROUNDS = 10
"""Draws per passage: a draw may repeat an earlier passage."""


@dataclass(frozen=True, slots=True)
class Passage:
    relation: str
    people: tuple[tuple[str, str], ...]
    """(person, word) of each fact, in the order in which they are told. All facts have the same relation, so that the
    answer can only be found by the other end of its fact."""
    asked: int
    """Index of the fact that the question is about."""
    person: bool
    """The question asks for the person; otherwise it asks for the word."""

    @property
    def text(self) -> str:
        return " ".join(RELATIONS[self.relation].fact.format(*pair) for pair in self.people)

    @property
    def question(self) -> str:
        relation, (name, word) = RELATIONS[self.relation], self.people[self.asked]
        return relation.ask_person.format(word) if self.person else relation.ask_word.format(name)

    @property
    def answer(self) -> str:
        name, word = self.people[self.asked]
        return name if self.person else word

    @property
    def others(self) -> list[str]:
        """Every other name and word of the passage: what a careless reader answers."""
        return [own for pair in self.people for own in pair if own != self.answer]

    @property
    def kind(self) -> str:
        return f"{'who' if self.person else 'what'}_{len(self.people)}"


def passages(split: Split, kind: str, count: int) -> list[Passage]:
    """Returns distinct passages of the split, of a kind such as `what_3`: what is asked for, and the number of facts.

    Relations take turns; one with fewer words in the split than the passage has facts is left out. Raises ValueError
    if the split has not that many passages.
    """
    asked, _, size = kind.partition("_")
    facts = int(size)
    rng = random.Random(f"{SEED}:{split}:{kind}")
    names, values = _words()["names"][split], _words()["values"]
    relations = [name for name in RELATIONS if len(values[name][split]) >= facts <= len(names)]
    found: dict[Passage, None] = {}
    for _ in range(_ROUNDS * count if relations else 0):
        if len(found) == count:
            break
        relation = relations[len(found) % len(relations)]
        pairs = zip(rng.sample(names, facts), rng.sample(values[relation][split], facts), strict=True)
        found[Passage(relation, tuple(pairs), rng.randrange(facts), asked == "who")] = None
    if len(found) < count:
        raise ValueError(
            f"the split {split} has {len(found)} passages of kind {kind}, not {count}: add words to its file"
        )
    return list(found)


@cache
def _words() -> dict[str, Any]:
    return load("passages.json")
