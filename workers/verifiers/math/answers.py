"""The values that the mathematics verifier reads: an expression, or the values that a sentence gives.

Invariant: a piece of text is an expression as a whole or not at all. Every search is linear in the text.
"""

import re

from workers.verifiers.answers.grammar import Grammar
from workers.verifiers.answers.markup import NoAnswerError, enclosed
from workers.verifiers.answers.numbers import read_number
from workers.verifiers.math.literals import Words, read_literal
from workers.verifiers.math.notation import characters
from workers.verifiers.math.phrases import HEDGE, MATHS_WORDS
from workers.verifiers.math.prose_values import environments, values

_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n")
_WORD = re.compile(r"(?<!\\)[A-Za-z]{2,}")
_COMMAND = re.compile(r"\\(?:text|mathrm|textrm)\{[^{}]*\}|\\(?:begin|end)\{[A-Za-z]*matrix\}|\\[A-Za-z]+")
_ABBREVIATION = re.compile(r"\b(?:i\.e|e\.g)\b", re.IGNORECASE)
_FOREIGN = re.compile(r"[^\x00-\x7fΑ-ωℝ×÷·⋅≤≥≠≈∪∩∈∞∅±√°µ€£¥¢]")


def grammar(*, words: bool = False) -> Grammar[str]:
    """If `words`, the answer is in words, so that any clause is a value as it is."""
    return Grammar(_read_words if words else _read_expression, _read_marked, _read_prose, free=words, lists=True)


def _read_marked(text: str, _: str) -> str:
    return characters(text)


def _read_words(text: str) -> str | None:
    return _strip_full_stop(characters(text)) or None


def _read_expression(text: str) -> str | None:
    text = _strip_full_stop(characters(text))
    exclaimed = text.removesuffix("!")
    if exclaimed.isdecimal():
        return exclaimed  # more often an exclamation than a factorial
    return text if is_expression(text) else None


def _read_prose(text: str) -> list[str]:
    """Reads the values of prose. Raises NoAnswerError if the text hedges or denies."""
    prose = " ".join(part for part in _SENTENCE.split(characters(text)) if not part.rstrip().endswith("?"))
    if HEDGE.search(prose):
        raise NoAnswerError("the answer is hedged or denied")
    return values(prose)


def is_expression(text: str) -> bool:
    """Whether the whole text is mathematics: without words other than functions, and with at most one environment."""
    if "\n" in text or len(environments(text)) > 1:
        return False
    if read_number(text) is not None:
        return True
    literal = read_literal(enclosed(text))
    if literal is not None:
        return not isinstance(literal, Words)
    bare = _COMMAND.sub(" ", text)
    if _ABBREVIATION.search(bare):
        return False
    return bool(text) and not _FOREIGN.search(bare) and all(w.casefold() in MATHS_WORDS for w in _WORD.findall(bare))


def _strip_full_stop(text: str) -> str:
    """Removes a full stop at the end, but not three dots, which say that digits go on."""
    text = text.strip()
    return text if text.endswith("...") else text.rstrip(".").strip()
