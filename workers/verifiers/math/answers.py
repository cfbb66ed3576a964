"""What the mathematics verifier takes for a value: an expression, or the values that a sentence gives.

Invariant: a stretch of text is an expression as a whole or not at all. Every search is linear in the text.
"""

import re

from workers.verifiers.answers.grammar import Grammar
from workers.verifiers.answers.markup import NoAnswerError, enclosed
from workers.verifiers.answers.numbers import read_number
from workers.verifiers.math.literals import Words, read_literal
from workers.verifiers.math.notation import characters
from workers.verifiers.math.phrases import HEDGE, MATHS_WORDS
from workers.verifiers.math.values import environments, values

_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n")
_WORD = re.compile(r"(?<!\\)[A-Za-z]{2,}")
_COMMAND = re.compile(r"\\(?:text|mathrm|textrm)\{[^{}]*\}|\\(?:begin|end)\{[A-Za-z]*matrix\}|\\[A-Za-z]+")
_FOREIGN = re.compile(r"[^\x00-\x7fΑ-ωℝ×÷·⋅≤≥≠≈∪∩∈∞∅±√°µ€£¥¢]")


def grammar(*, words: bool = False) -> Grammar[str]:
    """`words`: the answer is in words, so that a clause counts as it is."""
    return Grammar(_words if words else _expression, _marked, _values, free=words, lists=True)


def _marked(text: str, _: str) -> str:
    return characters(text)


def _words(text: str) -> str | None:
    return _undotted(characters(text)) or None


def _expression(text: str) -> str | None:
    text = _undotted(characters(text))
    exclaimed = text.removesuffix("!")
    if exclaimed.isdecimal():
        return exclaimed  # more often a cheer than a factorial
    return text if is_expression(text) else None


def _values(text: str) -> list[str]:
    """Raises NoAnswerError if the text hedges or denies."""
    prose = " ".join(part for part in _SENTENCE.split(characters(text)) if not part.rstrip().endswith("?"))
    if HEDGE.search(prose):
        raise NoAnswerError("the answer is hedged or denied")
    return values(prose)


def is_expression(text: str) -> bool:
    """Mathematics as a whole: no words but functions, and no second environment."""
    if "\n" in text or len(environments(text)) > 1:
        return False
    if read_number(text) is not None:
        return True
    literal = read_literal(enclosed(text))
    if literal is not None:
        return not isinstance(literal, Words)
    bare = _COMMAND.sub(" ", text)
    return bool(text) and not _FOREIGN.search(bare) and all(w.casefold() in MATHS_WORDS for w in _WORD.findall(bare))


def _undotted(text: str) -> str:
    """Without a full stop at its end; three dots say that digits go on."""
    text = text.strip()
    return text if text.endswith("...") else text.rstrip(".").strip()
