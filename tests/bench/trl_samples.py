"""The samples that both sides of learner.vs_trl train on, and their file.

Invariant: each group has one prompt, responses of drawn lengths, and at least one right and one wrong answer, so that
none is without a gradient. Standard library only, since TRL's environment reads it too.
"""

import json
import math
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

PROMPT_TOKENS = (15, 40)
"""Shortest and longest; the demo's prompts are about 25."""


@dataclass(frozen=True, slots=True)
class Sample:
    prompt: list[int]
    response: list[int]
    logprobs: list[float]
    """The behaviour policy's, one a response token; empty until somebody computed them."""
    score: float


Groups = list[list[Sample]]


@dataclass(frozen=True, slots=True)
class Lengths:
    """Lengths of responses in tokens; both ends are possible."""

    shortest: int
    longest: int
    long_tailed: bool
    """Log-uniform: as many between 32 and 64 as between 256 and 512. Else uniform."""

    def draw(self, random_: random.Random) -> int:
        if not self.long_tailed:
            return random_.randint(self.shortest, self.longest)
        return round(math.exp(random_.uniform(math.log(self.shortest), math.log(self.longest))))


def draw_groups(groups: int, responses: int, lengths: Lengths, vocabulary: Sequence[int], seed: int) -> Groups:
    """Token ids are drawn too: a step's work does not depend on which they are. At least two responses a group."""
    draw = random.Random(seed)
    found: Groups = []
    for _ in range(groups):
        prompt = draw.choices(vocabulary, k=draw.randint(*PROMPT_TOKENS))
        right = draw.randint(1, responses - 1)
        found.append(
            [
                Sample(prompt, draw.choices(vocabulary, k=lengths.draw(draw)), [], float(number < right))
                for number in range(responses)
            ]
        )
    return found


def response_tokens(groups: Groups) -> int:
    return sum(len(sample.response) for group in groups for sample in group)


def write_groups(groups: Groups, path: Path) -> None:
    path.write_text(json.dumps([[asdict(sample) for sample in group] for group in groups]))


def read_groups(path: Path) -> Groups:
    return [[Sample(**sample) for sample in group] for group in json.loads(path.read_text())]
