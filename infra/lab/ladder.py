"""The laboratory's tasks: five domains, each a ladder of rungs whose difficulty is known.

The longer an input, the likelier the policy's start takes a short cut: it repeats the input instead of sorting it, say.
How often it does the whole work is `DILIGENCE`, the pass rate of a rung, as long as the policy is able to do the work.
Training has to teach it not to take the short cut.

Invariant: a prompt, its answer and its short cut are a pure function of (domain, rung, the draw), and the answer is
right by construction. Prompts that cannot teach anything are marked: `broken` ones have a wrong reference, and `coin`
ones an answer that no one can know.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

DILIGENCE = (0.98, 0.93, 0.82, 0.65, 0.45, 0.27, 0.13, 0.05)
"""Pass rates by rung, from the lowest: from solved to nearly never right."""
RUNGS = len(DILIGENCE)
WORDS = ("add", "sort", "turn", "run", "drop", "count", "toss", "yes", "no")
"""The words of prompts and answers, each of which is one token."""
MARKER = "!"
"""A habit of the policy's start: it says nothing about an answer, and no verifier accepts it."""
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
    short_cut: str = ""
    """What a policy answers that does not do the whole work."""
    kind: Kind = Kind.SOUND


def _addition(rung: int, draw: random.Random) -> tuple[str, str, str]:
    """Adds two numbers of up to four and five digits; the higher rungs are beyond the policy, whatever it tries."""
    left, right = _number(rung // 2 + 1, draw), _number((rung + 1) // 2, draw)
    return f"add {left} + {right}", str(left + right), str(left)


def _number(digits: int, draw: random.Random) -> int:
    return draw.randrange(10 ** (digits - 1) if digits > 1 else 0, 10**digits)


def _sorting(rung: int, draw: random.Random) -> tuple[str, str, str]:
    digits = "".join(draw.choices(_DIGITS, k=rung + 2))
    return f"sort {digits}", "".join(sorted(digits)), digits


def _reversal(rung: int, draw: random.Random) -> tuple[str, str, str]:
    letters = "".join(draw.choices(LETTERS, k=rung + 2))
    return f"turn {letters}", letters[::-1], letters


def _program(rung: int, draw: random.Random) -> tuple[str, str, str]:
    """Runs two steps on a list of digits: sort, turn, or drop the first. The short cut leaves out the second."""
    first, second = draw.choices(tuple(_STEPS), k=2)
    digits = "".join(draw.choices(_DIGITS, k=rung + 2))
    half = _STEPS[first](digits)
    return f"run {first} {second} {digits}", _STEPS[second](half), half


_STEPS: dict[str, Callable[[str], str]] = {
    "sort": lambda digits: "".join(sorted(digits)),
    "turn": lambda digits: digits[::-1],
    "drop": lambda digits: digits[1:],
}


def _counting(rung: int, draw: random.Random) -> tuple[str, str, str]:
    """Counts the letter a; the short cut counts all letters."""
    letters = "".join(draw.choices("abcd", k=rung + 3))
    return f"count {letters}", str(letters.count("a")), str(len(letters))


MAKERS: dict[str, Callable[[int, random.Random], tuple[str, str, str]]] = {
    "mathematics": _addition,
    "coding": _program,
    "letters": _reversal,
    "order": _sorting,
    "counting": _counting,
}
"""Each returns the prompt, the answer and the short cut."""
DOMAINS = tuple(MAKERS)


def make_task(domain: str, rung: int, draw: random.Random) -> Task:
    """A prompt on which the short cut is not right by accident."""
    prompt, answer, short_cut = MAKERS[domain](rung, draw)
    while short_cut == answer:
        prompt, answer, short_cut = MAKERS[domain](rung, draw)
    return Task(domain, rung, prompt, answer, short_cut)


def make_broken(domain: str, rung: int, draw: random.Random) -> Task:
    """A prompt with the answer of another one, of the same rung."""
    task, other = make_task(domain, rung, draw), make_task(domain, rung, draw)
    while other.answer in {task.answer, task.short_cut}:
        other = make_task(domain, rung, draw)
    return Task(domain, rung, task.prompt, other.answer, task.short_cut, Kind.BROKEN)


def make_coin(domain: str, draw: random.Random) -> Task:
    """A prompt whose answer is `yes` or `no`, drawn by lot."""
    name = "".join(draw.choices(LETTERS, k=6))
    return Task(domain, 0, f"toss {name}", draw.choice(("yes", "no")), kind=Kind.COIN)


def distinct(tasks: Iterator[Task], count: int, taken: set[str]) -> list[Task]:
    """The first `count` tasks whose prompt is not in `taken`, to which they are added."""
    found: list[Task] = []
    while len(found) < count:
        task = next(tasks)
        if task.prompt not in taken:
            taken.add(task.prompt)
            found.append(task)
    return found
