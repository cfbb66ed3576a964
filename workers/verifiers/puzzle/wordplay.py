"""Puzzles of numbers, letters and words.

Invariant: every expression, mapping, palindrome or ladder that keeps the rules is right.
"""

import csv
import re
from functools import cache
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from workers.verifiers.puzzle.algebra import arithmetic
from workers.verifiers.puzzle.checking import Checker, MissingDataError
from workers.verifiers.puzzle.forms import FormError, comma_list, matched, nonempty_line

TWENTY_FOUR = 24

_PAIR = re.compile(r"([A-Z])\s*[=:]\s*(\d)")
_LETTERS = re.compile(r"[A-Za-z]+")


class Countdown(msgspec.Struct):
    numbers: list[int]
    target: int


class Numbers(msgspec.Struct):
    numbers: list[int]


class Cryptarithm(msgspec.Struct):
    words_letters: list[str]
    result_letters: str
    allow_leading_zero: bool = False


class Letters(msgspec.Struct):
    letters: list[str]


class Ladder(msgspec.Struct):
    start_word: str
    end_word: str


def countdown(answer: str, facts: Countdown) -> str | None:
    return _judge_expression(answer, facts.numbers, facts.target)


def puzzle24(answer: str, facts: Numbers) -> str | None:
    return _judge_expression(answer, facts.numbers, TWENTY_FOUR)


def _judge_expression(answer: str, numbers: list[int], target: int) -> str | None:
    value, used = arithmetic(answer)
    if sorted(used) != sorted(numbers):
        return f"it uses {sorted(used)}, not {sorted(numbers)}"
    return None if value == target else f"its value is not {target}"


def cryptarithm(answer: str, facts: Cryptarithm) -> str | None:
    digits: dict[str, int] = {}
    for part in comma_list(answer):
        letter, digit = matched(_PAIR, part, "pairs such as A=1,B=2").groups()
        if letter in digits:
            raise FormError(f"{letter} is given twice")
        digits[letter] = int(digit)
    words = [*facts.words_letters, facts.result_letters]
    if set(digits) != set("".join(words)):
        return "the letters are not those of the puzzle"
    if len(set(digits.values())) < len(digits):
        return "two letters have the same digit"
    if not facts.allow_leading_zero and any(digits[word[0]] == 0 for word in words):
        return "a number begins with 0"
    *summands, total = [int("".join(str(digits[letter]) for letter in word)) for word in words]
    return None if sum(summands) == total else "the sum does not hold"


def palindrome(answer: str, facts: Letters) -> str | None:
    word = matched(_LETTERS, answer, "one word").group().casefold()
    if sorted(word) != sorted(letter.casefold() for letter in facts.letters):
        return "the letters are not those given"
    return None if word == word[::-1] else "it is not a palindrome"


def word_ladder(answer: str, facts: Ladder) -> str | None:
    """Returns why the ladder is wrong, or None. Raises FormError, MissingDataError."""
    known = _load_words()
    ladder = [
        matched(_LETTERS, word, "words separated by commas").group().upper()
        for word in comma_list(nonempty_line(answer))
    ]
    if ladder[0] != facts.start_word.upper() or ladder[-1] != facts.end_word.upper() or len(ladder) < 2:
        return f"it does not lead from {facts.start_word} to {facts.end_word}"
    for one, other in pairwise(ladder):
        if len(one) != len(other) or sum(a != b for a, b in zip(one, other, strict=True)) != 1:
            return f"{one} and {other} do not differ in one letter"
    unknown = [word for word in ladder if word not in known]
    return f"{unknown[0]} is not in the word list" if unknown else None


@cache
def _load_words() -> frozenset[str]:
    """Reads reasoning-gym's word list from its file, since importing the package takes seconds. Raises
    MissingDataError.
    """
    spec = find_spec("reasoning_gym")
    if spec is None or spec.origin is None:
        raise MissingDataError("word_ladder needs reasoning-gym's word list: pip install 'rewardstream[puzzles]'")
    with (Path(spec.origin).parent / "data" / "words.csv").open(encoding="utf-8", newline="") as file:
        return frozenset(word.strip().upper() for row in csv.reader(file) for word in row if word.strip())


WORDPLAY: dict[str, Checker[Any]] = {
    "countdown": Checker(
        "an expression in + - * / that uses each number once and has the target's value", Countdown, countdown
    ),
    "puzzle24": Checker("an expression in + - * / that uses each number once and is 24", Numbers, puzzle24),
    "cryptarithm": Checker(
        "a digit for every letter, such as A=1,B=2, so that the sum holds", Cryptarithm, cryptarithm
    ),
    "palindrome_generation": Checker("one palindrome of exactly the given letters", Letters, palindrome),
    "word_ladder": Checker(
        "words separated by commas, each one letter from the last, all in reasoning-gym's list", Ladder, word_ladder
    ),
}
