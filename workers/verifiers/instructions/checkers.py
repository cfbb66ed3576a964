"""Rewardstream's own instruction checkers, ids `rewardstream:...`, for constraints that IFEval and IFBench lack.

Invariant: a checker is a pure predicate on the response; it raises TypeError or ValueError if an argument is missing.
"""

import re
from collections.abc import Callable, Mapping

from workers.verifiers.answers.words import words

PREFIX = "rewardstream:"
_SENTENCE_MARK = re.compile(r"[.!?]+[\"'”’)]*(?=\s|$)")


def word_count(
    response: str, *, exactly: int | None = None, at_least: int | None = None, at_most: int | None = None
) -> bool:
    if exactly is at_least is at_most is None:
        raise ValueError("word_count needs exactly, at_least or at_most")
    count = len(words(response))
    return (
        (exactly is None or count == exactly)
        and (at_least is None or count >= at_least)
        and (at_most is None or count <= at_most)
    )


def one_sentence(response: str) -> bool:
    """Whether the response is one line with one end mark and nothing after it."""
    text = response.strip()
    marks = list(_SENTENCE_MARK.finditer(text))
    return "\n" not in text and len(marks) == 1 and marks[0].end() == len(text) and bool(words(text))


def one_question(response: str) -> bool:
    return one_sentence(response) and response.strip().rstrip("\"'”’)").endswith("?")


def ends_with(response: str, *, text: str) -> bool:
    """Whether it ends with exactly `text`, case and punctuation included; `text` alone is not an answer."""
    return response.rstrip().endswith(text) and response.strip() != text


def starts_with(response: str, *, text: str) -> bool:
    """Whether it starts with exactly `text`, case included, up to a word's end; `text` alone is not an answer."""
    rest = response.strip().removeprefix(text)
    return rest != response.strip() and bool(rest.strip()) and not rest[0].isalnum()


def lowercase(response: str) -> bool:
    """Works like change_case:english_lowercase without its language guess, often wrong for a short sentence."""
    return response.islower()


def uppercase(response: str) -> bool:
    return response.isupper()


CHECKERS: Mapping[str, Callable[..., bool]] = {
    PREFIX + checker.__name__: checker
    for checker in (word_count, one_sentence, one_question, ends_with, starts_with, lowercase, uppercase)
}
