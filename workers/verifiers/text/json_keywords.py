"""The keywords of JSON Schema that jsonschema judges by Python's rules, by their standards' rules.

Invariant: patterns are ECMA-262's, and each search ends within SECONDS; `multipleOf` is exact for decimal numbers.
"""

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from types import FunctionType
from typing import Any

from jsonschema import ValidationError

from workers.verifiers.text.ecma_pattern import compile_ecma

SECONDS = 0.5
"""Longest search for one pattern in one text; a good pattern takes microseconds."""
_WITH_PATTERNS = ("pattern", "patternProperties", "additionalProperties", "unevaluatedProperties")
_HELPERS = ("find_additional_properties", "find_evaluated_property_keys_by_schema")

Keyword = Callable[..., Iterator[ValidationError] | None]


class EcmaSearch:
    """Takes the place of the module `re` in jsonschema's functions."""

    @staticmethod
    def search(pattern: str, text: str) -> object | None:
        """Raises EcmaPatternError, TimeoutError."""
        found: object | None = compile_ecma(pattern).search(text, timeout=SECONDS)
        return found


def keywords(given: Mapping[str, Keyword]) -> dict[str, Keyword]:
    """Replacements of the keywords with the same names in a validator's class."""
    found = {name: _searching(given[name]) for name in _WITH_PATTERNS if name in given}
    return found | {name: multiple_of for name in ("multipleOf", "divisibleBy") if name in given}


def multiple_of(validator: Any, divisor: Any, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    if validator.is_type(instance, "number") and not _is_multiple(instance, divisor):
        yield ValidationError(f"{instance!r} is not a multiple of {divisor!r}")


def _is_multiple(number: float, divisor: float) -> bool:
    if isinstance(number, int) and isinstance(divisor, int):
        return number % divisor == 0
    try:
        return Decimal(repr(number)) % Decimal(repr(divisor)) == 0
    except (InvalidOperation, ValueError):  # a quotient, or an integer, of more digits than decimals take
        return (_exact(number) / _exact(divisor)).denominator == 1


def _exact(number: float) -> Fraction:
    """The number as it is written: a float's shortest decimal form."""
    return Fraction(number) if isinstance(number, int) else Fraction(Decimal(repr(number)))


def _searching(function: Keyword) -> Keyword:
    """A copy of a function of jsonschema's that searches by ECMA-262, and so do the helpers that it calls."""
    space = dict(function.__globals__)
    space["re"] = EcmaSearch
    for name in _HELPERS:
        if name in space:
            space[name] = _rehomed(space[name])
    return FunctionType(function.__code__, space)


def _rehomed(helper: Any) -> Any:
    space = dict(helper.__globals__) | {"re": EcmaSearch}
    copy = space[helper.__name__] = FunctionType(helper.__code__, space)
    return copy
