r"""Parses the LaTeX of one expression to an object of the algebra library, with latex2sympy's grammar.

Invariant: no text is ever evaluated as Python. The grammar builds the expression without computing it; a text of which
it would read only a part (a list with dots in it) is not parsed.
"""

import re
from functools import lru_cache
from typing import Any

import sympy
from latex2sympy2_extended import NormalizationConfig, latex2sympy, normalize_latex
from math_verify.grader import should_treat_as_complex

from workers.verifiers.answers.unit_names import UNITS, known_unit

_NORMAL = NormalizationConfig(
    basic_latex=True, units=False, malformed_operators=True, nits=True, boxed="all", equations=False
)
MAX_WORDS = 1
"""Most words of an expression; a text with more is prose, not a product of its letters."""
_TEXT = re.compile(r"\\(?:text|mathrm|textrm|mbox|operatorname|begin|end)\s*\{[^{}]*\}|\\[A-Za-z]+|_\{\w*\}")
_WORD = re.compile(r"(?!(?:arc)?(?:sin|cos|tan)h?(?![A-Za-z]))[A-Za-z]{4,}")
_UNFINISHED = re.compile(r"\\(?:[lcvdi]?dots[bcimo]?)(?![A-Za-z])|\.{3}|…")
_TEXT_UNIT = re.compile(
    r"(?P<rest>.*[^\s+\-*/^_=<>(,{\\])\s*(?:\\[,;: ]|~)?\s*"
    r"\\(?:text|textrm|mathrm|mbox|rm)\s*\{(?P<unit>[^{}]{1,60})\}(?:\^\s*\{?\s*(?P<area>[23])\s*\}?)?",
    re.DOTALL,
)
_PLAIN_UNIT = re.compile(
    rf"(?P<rest>.*(?:[\d)}}\]]\s*|\s))(?<![\\A-Za-z])"
    rf"(?P<unit>{UNITS}|units?|(?:sq\.?|square|cubic)\s(?:{UNITS})|mph)"
    r"(?:\^\s*\{?\s*(?P<area>[23])\s*\}?)?\s*\.?",
    re.DOTALL,
)
_LETTER_UNIT = re.compile(r"(?P<rest>.*[\d)}])\s+(?P<unit>[mgshl])(?:\^\s*\{?\s*(?P<area>[23])\s*\}?)?", re.DOTALL)
"""Metres or a variable: it is a unit only if there is no other letter."""
_COMMANDS = re.compile(r"\\[A-Za-z]+")
_NOT_UNITS = frozenset(["or", "and", "if", "for", "mod", "where", "not", "when", "is", "are", "but", "unless", "maybe"])


@lru_cache(1024)
def parsed(text: str) -> Any | None:
    """Parses LaTeX; None if the grammar does not know it."""
    if _UNFINISHED.search(text) or len(_WORD.findall(_TEXT.sub(" ", text))) > MAX_WORDS:
        return None
    try:
        normal = normalize_latex(text, _NORMAL)
        value = latex2sympy(normal, is_real=not should_treat_as_complex(normal), normalization_config=None)
    except RecursionError:
        raise
    except Exception:  # noqa: BLE001  the grammar raises a bare Exception for unknown input
        return None
    if not isinstance(value, sympy.Basic | sympy.MatrixBase):
        return None
    return _double_factorials(value) if "!!" in text else value


def without_unit(text: str) -> tuple[str, str] | None:
    """Splits a text with a unit at its end into the text before it and the unit's usual name, which is empty if it is
    not an everyday unit. None if there is no unit.
    """
    for pattern in (_TEXT_UNIT, _PLAIN_UNIT, _LETTER_UNIT):
        found = pattern.fullmatch(text)
        if found is None or not found["rest"].strip():
            continue
        rest, unit = found["rest"].strip(), " ".join(found["unit"].casefold().split()).strip(" .")
        if not unit or _NOT_UNITS & set(unit.split()) or any(map(str.isdigit, unit)):
            continue
        if pattern is _LETTER_UNIT and re.search(r"[A-Za-z]", _COMMANDS.sub("", rest)):
            continue
        name = known_unit(unit) or ""
        return rest, name + (found["area"] or "") if name else ""
    return None


def _double_factorials(value: Any) -> Any:
    """Replaces factorials of factorials by double factorials, since the grammar reads `n!!` as the former."""
    return value.replace(
        lambda node: isinstance(node, sympy.factorial) and isinstance(node.args[0], sympy.factorial),
        lambda node: sympy.factorial2(node.args[0].args[0], evaluate=False),
    )
