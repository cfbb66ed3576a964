r"""Answers that are not expressions: words, ratios and times, numbers in another base, residues.

Invariant: a literal equals only a literal of its kind, as written: `3:2` is not `6:4`, since `3:30` is not `6:60`. A
plain number may leave out the base or the modulus, like a unit.
"""

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

from workers.verifiers.answers.numbers import Number

MAX_WORDS = 6


@dataclass(frozen=True, slots=True)
class Words:
    text: str


@dataclass(frozen=True, slots=True)
class Ratio:
    """A ratio such as `3:2`, or a time of day."""

    parts: tuple[Fraction, ...]
    half: str
    """`a` for am, `p` for pm, or empty."""


@dataclass(frozen=True, slots=True)
class Based:
    digits: str
    base: int


@dataclass(frozen=True, slots=True)
class Residue:
    value: int
    modulus: int


@dataclass(frozen=True, slots=True)
class Verbatim:
    """A gold that is not an expression; only the same text, apart from its layout, answers it."""

    text: str


Literal: TypeAlias = Words | Ratio | Based | Residue | Verbatim

NOTHING = "no solution"
"""Words for the empty set."""
REALS = "all real numbers"
_SYNONYMS = {
    **dict.fromkeys(("no solutions", "none", "empty set", "no solution exists", "no solutions exist"), NOTHING),
    **dict.fromkeys(("real numbers", "all reals", "any real number", "all real number"), REALS),
    **dict.fromkeys(("no real solutions", "no real roots", "no real root"), "no real solution"),
    **dict.fromkeys(("dne", "limit does not exist", "it does not exist"), "does not exist"),
    **dict.fromkeys(("not defined", "is undefined"), "undefined"),
}
_SHORT = frozenset(
    ["yes", "no", "odd", "all", "any", "red", "tie", "mon", "tue", "wed", "thu", "fri", "sat", "sun", "dne"]
)
_MATHEMATICS = frozenset(
    [
        *("sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh", "arcsin", "arccos", "arctan", "log", "exp"),
        *("sqrt", "pi", "max", "min", "gcd", "lcm", "mod", "infinity", "infty", "and", "or", "in", "ln", "frac"),
        *("cdot", "times", "union", "alpha", "beta", "gamma", "delta", "theta", "lambda", "sigma", "omega", "phi"),
    ]
)
_WRAPPER = re.compile(r"\\(?:text|mathrm|textrm|textbf|textit|mathbf|operatorname|mbox|rm)\s*\{([^{}]*)\}")
_WORDING = re.compile(r"[^\W\d_][\w' .,:&/-]*|\d[\w' .,:&/-]*", re.UNICODE)
_WORD = re.compile(r"[^\W\d_]+")
_MATHEMATICAL = re.compile(r"[\\\d=<>^_{}|∈∀∃]|[^\x00-\x7f]")
_LAYOUT = [
    (re.compile(r"\\(le|ge|ne)(?:q|qslant|slant)(?![a-z])"), r"\\\1"),
    (re.compile(r"\\(?:mid|vert|lvert|rvert)(?![A-Za-z])|(?<=[a-z])\s*:\s*(?=[a-z])"), "|"),
    (re.compile(r"\\[dt]frac(?![A-Za-z])"), r"\\frac"),
    (re.compile(r"[\s$]+|\\(?:left|right|displaystyle|quad|qquad)(?![A-Za-z])|\\[,;:! ]"), ""),
    (re.compile(r"\{(\w)\}"), r"\1"),
    (re.compile(r"[.,;。]+$"), ""),
]
_RATIO = re.compile(
    r"(\d{1,9}(?:\.\d{1,9})?(?:\s*:\s*\d{1,9}(?:\.\d{1,9})?){1,9})\s*(?:([ap])\.?\s?m\.?)?", re.IGNORECASE
)
_BASED = re.compile(r"([0-9A-Z]{1,300})_(?:\{\s*(\d{1,2})\s*\}|(\d{1,2}))")
_RESIDUE = re.compile(
    r"(?:[a-zA-Z]\s*(?:\\equiv|≡)\s*)?(-?\d{1,40})\s*(?:\(\s*mod\s*(\d{1,40})\s*\)|\\[pb]?mod\s*\{?\s*(\d{1,40})\s*\}?|mod\s+(\d{1,40}))"
)


def read_literal(text: str) -> Literal | None:
    """Reads text in the notation of `notation.latex`; None if it is not a literal."""
    if found := _BASED.fullmatch(text):
        base = int(found[2] or found[3])
        if 2 <= base <= 36 and all(int(digit, 36) < base for digit in found[1]):
            return Based(found[1].lstrip("0") or "0", base)
    if found := _RESIDUE.fullmatch(text):
        modulus = int(found[2] or found[3] or found[4])
        return Residue(int(found[1]) % modulus, modulus) if modulus else None
    return _read_ratio(text) or read_words(text)


def verbatim(text: str) -> Verbatim | None:
    """Returns the text without its layout; None if it is plain prose, which no two people would write alike."""
    if not _MATHEMATICAL.search(text):
        return None
    bare = _WRAPPER.sub(r"\1", text)
    for pattern, replacement in _LAYOUT:
        bare = pattern.sub(replacement, bare)
    return Verbatim(bare.casefold()) if bare else None


def _read_ratio(text: str) -> Ratio | None:
    found = _RATIO.fullmatch(_WRAPPER.sub(r"\1", text).strip())
    if found is None:
        return None
    return Ratio(tuple(Fraction(part.strip()) for part in found[1].split(":")), (found[2] or "").casefold())


def read_words(text: str) -> Words | None:
    """Reads words; None if the text may be mathematics. A word has four letters or more, or is one of _SHORT."""
    bare = _WRAPPER.sub(r"\1", text).strip().strip("\"'“”()").rstrip(".").casefold()
    bare = " ".join(re.sub(r"\b([ap])\.\s?m\b\.?", r"\1m", bare).split())
    found = _WORD.findall(bare)
    plain = [word for word in found if word not in _MATHEMATICS]
    if not _WORDING.fullmatch(bare) or not any(len(word) > 3 or word in _SHORT for word in plain):
        return None
    if len(found) > MAX_WORDS:
        return None
    bare = re.sub(r"^(?:(?:there|it) (?:is|are) |(?:the|a|an) )", "", bare)
    return Words(_SYNONYMS.get(bare, bare))


def same_literal(gold: Literal | Number, answer: Literal | Number) -> bool:
    """Whether the two are equal; at least one of them is a Literal."""
    if isinstance(gold, Ratio) and isinstance(answer, Ratio):
        return gold.parts == answer.parts and (not gold.half or not answer.half or gold.half == answer.half)
    if isinstance(gold, Based) or isinstance(answer, Based):
        return _same_based(gold, answer)
    if isinstance(gold, Residue | Number) and isinstance(answer, Residue | Number):
        return gold.value == answer.value and (isinstance(gold, Number) or isinstance(answer, Number) or gold == answer)
    return gold == answer


def _same_based(gold: Literal | Number, answer: Literal | Number) -> bool:
    """Compares numbers in a base. Digits without a base answer a gold with one; if the gold gives no base, its value
    may be in any base.
    """
    if isinstance(gold, Based) and isinstance(answer, Based):
        return int(gold.digits, gold.base) == int(answer.digits, answer.base)
    if isinstance(gold, Based) and isinstance(answer, Number):
        return _whole_digits(answer) == gold.digits
    if isinstance(answer, Based) and isinstance(gold, Number):
        return _whole_digits(gold) == answer.digits or gold.value == int(answer.digits, answer.base)
    return False


def _whole_digits(number: Number) -> str | None:
    return str(number.value.numerator) if number.value.denominator == 1 and not number.unit else None
