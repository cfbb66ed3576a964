"""Decodes values from a sandbox and compares them with those that a test expects.

Invariant: text from a sandbox becomes values of exact builtin types or a ValueError; nothing is evaluated. Two values
are equal if type and value are: True is not 1, 1.0 is not 1. The exception is a list in a test, which also accepts a
tuple, since JSON has no tuples.
"""

import json
import math
from collections.abc import Callable, Hashable
from typing import Any, NoReturn

TYPE = "$type"
"""Key that marks, in a test, a value that JSON cannot express: {"$type": "tuple", "value": [1, 2]}."""


def decode(line: bytes | str) -> Any:
    """Decodes a value that code/inside_values.py has encoded. Raises ValueError."""
    try:
        return _decode_node(json.loads(line, parse_float=_refuse, parse_constant=_refuse))
    except (TypeError, IndexError, RecursionError, UnicodeDecodeError, OverflowError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error


def _refuse(text: str) -> NoReturn:
    raise ValueError(f"a bare {text[:20]}")


_SEQUENCES: dict[str, Callable[[list[Any]], Any]] = {"l": list, "t": tuple, "s": set, "z": frozenset}


def _decode_node(node: Any) -> Any:  # noqa: PLR0911  one for each tag
    if node is None or isinstance(node, bool | int | str):
        return node
    if not isinstance(node, list):
        raise TypeError("an object")
    tag, *rest = node
    if tag in _SEQUENCES:
        return _SEQUENCES[tag]([_decode_node(item) for item in rest])
    match tag, rest:
        case "d", _:
            return {_decode_node(key): _decode_node(item) for key, item in rest}
        case "i", [digits]:
            return int(digits, 16)
        case "f", [digits]:
            return float.fromhex(digits)
        case "b", [digits]:
            return bytes.fromhex(digits)
        case "c", [real, imaginary]:
            return complex(float.fromhex(real), float.fromhex(imaginary))
    raise TypeError(f"tag {tag!r}")


def written(value: Any) -> Any:
    """Converts a test's JSON value; a marked value becomes the value of its type. Raises ValueError."""
    if isinstance(value, list):
        return [written(item) for item in value]
    if not isinstance(value, dict):
        return value
    if TYPE not in value:
        return {key: written(item) for key, item in value.items()}
    make = _MARKED.get(value[TYPE])
    if make is None or value.keys() != {TYPE, "value"}:
        raise ValueError(f"{TYPE} {value[TYPE]!r} with a `value`: known are {', '.join(sorted(_MARKED))}")
    try:
        return make(written(value["value"]))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{TYPE} {value[TYPE]!r}: {error}") from error


_MARKED: dict[str, Callable[[Any], Any]] = {
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
    "dict": lambda pairs: {key: item for key, item in pairs},  # noqa: C416  dict() would accept a dict too
    "bytes": bytes.fromhex,
    "int": int,
    "float": float,
    "complex": lambda parts: complex(*parts),
}


def same(expected: Any, got: Any, tolerance: float | None = None) -> bool:
    """Whether two values are equal. With a `tolerance`, numbers are equal within it, absolute or relative, int and
    float alike.
    """
    kind = type(expected)
    if tolerance is not None and _is_number(expected) and _is_number(got):
        return _close(expected, got, tolerance)
    if kind is list:
        return type(got) in {list, tuple} and _all_same(expected, got, tolerance)
    if type(got) is not kind:
        return False
    if kind is tuple:
        return _all_same(expected, got, tolerance)
    if kind is dict:
        mine, theirs = ({canonical(key): item for key, item in side.items()} for side in (expected, got))
        return mine.keys() == theirs.keys() and all(same(item, theirs[key], tolerance) for key, item in mine.items())
    return canonical(expected) == canonical(got)


def canonical(value: Any) -> Hashable:
    """Returns a key that is equal for equal values of one type; NaN equals NaN."""
    kind = type(value)
    if kind in {tuple, list}:
        return kind, tuple(canonical(item) for item in value)
    if kind in {set, frozenset}:
        return kind, frozenset(canonical(item) for item in value)
    if kind is float and math.isnan(value):
        return kind, "nan"
    if kind is complex:
        return kind, canonical(value.real), canonical(value.imag)
    return kind, value


def _all_same(expected: Any, got: Any, tolerance: float | None) -> bool:
    return len(expected) == len(got) and all(same(*pair, tolerance) for pair in zip(expected, got, strict=True))


def _is_number(value: Any) -> bool:
    return type(value) in {int, float}


def _close(expected: float, got: float, tolerance: float) -> bool:
    if expected == got:
        return True
    try:
        return (math.isnan(expected) and math.isnan(got)) or math.isclose(
            expected, got, rel_tol=tolerance, abs_tol=tolerance
        )
    except OverflowError:  # an int beyond the range of floats
        return False
