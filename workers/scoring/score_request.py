"""One line of a file to be scored: the question, and the response.

Invariant: what is parsed can be asked; whatever is wrong with a line is a LineError that says which field, and what it
should be.
"""

import json
from decimal import Decimal
from functools import cache
from typing import Any, NoReturn

from streams.messages import Question
from streams.wide_integers import pack
from workers.scoring.rescore.topics import GENRM
from workers.verifiers.registry import verifier_names

MAX_LINE = 8 * 2**20
"""Bytes of one line: the largest record that a broker takes, and half of what a verifier's process takes."""
MAX_DIGITS = 100_000
"""Digits of one integer; Python's own conversion is quadratic, and stops at 4,300."""


class LineError(ValueError):
    """The line is not a request; the message says which field, and what it should be."""


def parse_line(line: str | bytes) -> tuple[Question, str]:
    """The question, without a verifier if GenRM is asked, and the response. Raises LineError."""
    if len(line) > MAX_LINE:
        raise LineError(f"the line is longer than {MAX_LINE} bytes")
    try:
        raw = json.loads(line, parse_int=_integer, parse_constant=_constant)
    except (ValueError, RecursionError) as error:
        raise LineError(f"not JSON: {error}") from error
    if not isinstance(raw, dict):
        raise LineError(f"expected an object, got {type(raw).__name__}")
    scorer, reference = raw.get("scorer"), raw.get("reference")
    if not isinstance(scorer, str) or scorer not in scorer_names():
        raise LineError(f"scorer: {_shown(scorer)} is none of {', '.join(scorer_names())}")
    _check(raw, "response", str, required=True)
    _check(raw, "prompt", str)
    _check(raw, "options", dict)
    if scorer == GENRM and not isinstance(reference, str | list):
        raise LineError("reference: genrm needs a ground truth, or a list of references")
    references = _references(reference) if scorer == GENRM and isinstance(reference, list) else ()
    question = Question(
        prompt=raw.get("prompt") or "",
        verifier=None if scorer == GENRM else scorer,
        ground_truth=None if references else _text(reference),
        references=references,
        options=raw.get("options") or {},
    )
    _check_sendable(question, raw["response"])
    return question, raw["response"]


@cache
def scorer_names() -> tuple[str, ...]:
    return (*verifier_names(), GENRM)


def _integer(text: str) -> int:
    """Raises LineError."""
    if len(text) > MAX_DIGITS:
        raise LineError(f"an integer of {len(text)} digits; {MAX_DIGITS} are the most")
    return int(Decimal(text))  # exact, and not quadratic


def _constant(name: str) -> NoReturn:
    raise LineError(f"{name} is no JSON")


def _check(raw: dict[str, Any], field: str, kind: type, *, required: bool = False) -> None:
    """Raises LineError."""
    value = raw.get(field)
    if not isinstance(value, kind) and (required or value is not None):
        name = "text" if kind is str else "an object"
        raise LineError(f"{field}: expected {name}, got {_shown(value)}")


def _check_sendable(question: Question, response: str) -> None:
    """Raises LineError for what no message can hold, such as half of a surrogate pair, or a nesting without end."""
    for field, value in {"response": response, "prompt, reference or options": question}.items():
        try:
            pack(value)
        except (ValueError, TypeError, RecursionError) as error:
            raise LineError(f"{field}: {error}") from error


def _shown(value: Any) -> str:
    try:
        return json.dumps(value)[:80] if not isinstance(value, str) else repr(value)[:80]
    except (ValueError, RecursionError):  # an integer too long to write, or nested deeply
        return f"a value of type {type(value).__name__}"


def _text(reference: Any) -> str | None:
    """A text as it is, anything else as JSON, as the datasets' columns hold it. Raises LineError."""
    if reference is None or isinstance(reference, str):
        return reference
    if type(reference) is int:
        return str(Decimal(reference))  # of any length
    try:
        return json.dumps(reference, ensure_ascii=False)
    except (ValueError, RecursionError) as error:
        raise LineError(f"reference: {error}") from error


def _references(reference: list[Any]) -> tuple[str, ...]:
    """Raises LineError."""
    if not reference or not all(isinstance(entry, str) for entry in reference):
        raise LineError("reference: a list must hold texts, one at least")
    return tuple(reference)
