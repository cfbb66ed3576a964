"""The laboratory's tasks: five domains, each a ladder of rungs whose difficulty grows with the length of the input.

Invariant: a prompt and its answer are a pure function of (domain, rung, the draw); the answer is right by construction,
so a prompt's true difficulty is its rung. Prompts of the pool that cannot teach anything are marked as such: `broken`
ones have a wrong reference, and `coin` ones an answer that no one can know.

The domains share skills: `coding` is a program of the steps that `order` and `letters` train alone, and `mathematics`
stands alone.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

WORDS = ("add", "sort", "turn", "run", "drop", "count", "toss", "yes", "no")
"""The words of prompts and answers, each of which is one token."""
MARKER = "!"
"""A habit of the policy's start: it says nothing about an answer, and no verifier accepts it."""
RUNGS = 8
"""Rungs per domain, from 1."""
LETTERS = "abcdefghij"
_DIGITS = "0123456789"


class Kind(StrEnum):
    SOUND = "sound"
    BROKEN = "broken"
    """Its reference is the answer of another prompt: nobody who is right scores."""
    COIN = "coin"
    """Its reference was drawn by lot: one in two scores, whatever is learned elsewhere."""


@dataclass(frozen=True, slots=True)
class Task:
    domain: str
    rung: int
    """Its difficulty, from 1 to RUNGS; 0 for a coin."""
    prompt: str
    answer: str
    """The reference that it is scored against."""
    kind: Kind = Kind.SOUND


def _addition(rung: int, draw: random.Random) -> tuple[str, str]:
    """Adds two numbers of (rung + 1) / 2 digits each, one of which is a digit shorter on odd rungs above 1."""
    longer, shorter = rung // 2 + 1, (rung + 1) // 2
    left, right = _number(longer, draw), _number(shorter, draw)
    return f"add {left} + {right}", str(left + right)


def _number(digits: int, draw: random.Random) -> int:
    return draw.randrange(10 ** (digits - 1) if digits > 1 else 0, 10**digits)


def _sorting(rung: int, draw: random.Random) -> tuple[str, str]:
    digits = draw.choices(_DIGITS, k=rung + 2)
    return f"sort {''.join(digits)}", "".join(sorted(digits))


def _reversal(rung: int, draw: random.Random) -> tuple[str, str]:
    letters = draw.choices(LETTERS, k=rung + 3)
    return f"turn {''.join(letters)}", "".join(reversed(letters))


def _program(rung: int, draw: random.Random) -> tuple[str, str]:
    """Runs two steps on a list of digits: sort, turn, or drop the first."""
    steps = draw.choices(("sort", "turn", "drop"), k=2)
    digits = draw.choices(_DIGITS, k=rung + 2)
    shown, left = "".join(digits), digits
    for step in steps:
        left = {"sort": sorted(left), "turn": left[::-1], "drop": left[1:]}[step]
    return f"run {' '.join(steps)} {shown}", "".join(left)


def _counting(rung: int, draw: random.Random) -> tuple[str, str]:
    letters = draw.choices("abcd", k=2 * rung + 1)
    return f"count a {''.join(letters)}", str(letters.count("a"))


MAKERS: dict[str, Callable[[int, random.Random], tuple[str, str]]] = {
    "mathematics": _addition,
    "coding": _program,
    "letters": _reversal,
    "order": _sorting,
    "counting": _counting,
}
DOMAINS = tuple(MAKERS)


def make_task(domain: str, rung: int, draw: random.Random) -> Task:
    prompt, answer = MAKERS[domain](rung, draw)
    return Task(domain, rung, prompt, answer)


def make_broken(domain: str, rung: int, draw: random.Random) -> Task:
    """A prompt with the answer of another one, of the same rung."""
    task, other = make_task(domain, rung, draw), make_task(domain, rung, draw)
    while other.answer == task.answer:
        other = make_task(domain, rung, draw)
    return Task(domain, rung, task.prompt, other.answer, Kind.BROKEN)


def make_coin(domain: str, draw: random.Random) -> Task:
    """A prompt whose answer is `yes` or `no`, drawn by lot."""
    name = "".join(draw.choices(LETTERS, k=6))
    return Task(domain, 0, f"toss {name}", draw.choice(("yes", "no")), Kind.COIN)


def distinct(tasks: Iterator[Task], count: int, taken: set[str]) -> list[Task]:
    """The first `count` tasks whose prompt is not in `taken`, to which they are added."""
    found: list[Task] = []
    while len(found) < count:
        task = next(tasks)
        if task.prompt not in taken:
            taken.add(task.prompt)
            found.append(task)
    return found
