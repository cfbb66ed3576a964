"""Runs inside the sandbox: encodes Python values of exact builtin types as one line of JSON.

Invariant: no code of a value's own type runs. A subclass is refused, not converted, except for those of the standard
library that Python itself considers equal to a dict, and named tuples.

`null`, `true`, text and integers are written as such; all else is [tag, ...]; workers/verifiers/code/values.py reads
it. Nothing is imported except the C function that `json` itself uses: importing json would delay every sandbox by 5 ms.
"""

import sys
from _json import encode_basestring_ascii

TYPE_CHECKING = False  # typing.TYPE_CHECKING would need an import
if TYPE_CHECKING:
    from typing import Any

text = encode_basestring_ascii
_LARGE = 2**53
_SEQUENCES: dict[type, str] = {list: "l", tuple: "t", set: "s", frozenset: "z"}


class Refused(TypeError):  # noqa: N818  names what happened to the value
    """The value is not of an exact builtin type; the text names its type."""


def plain(value: "Any") -> "Any":
    """Copies a value that Python considers equal to a dict or a tuple into one. Raises Refused for all others."""
    kind = type(value)
    collections = sys.modules.get("collections")
    if (
        kind.__base__ is dict
        and collections
        and kind in (collections.Counter, collections.defaultdict, collections.OrderedDict)
    ):
        return dict(dict.items(value))
    if kind.__base__ is tuple and "_fields" in kind.__dict__:
        return tuple(tuple.__iter__(value))
    raise Refused(getattr(kind, "__name__", "?"))


def encode(value: "Any") -> str:  # noqa: PLR0911  one for each type
    """Encodes a value. Raises Refused; RecursionError if it is nested too deeply, or in itself."""
    kind = type(value)
    if value is None:
        return "null"
    if kind is bool:
        return "true" if value else "false"
    if kind is int:
        return str(value) if -_LARGE < value < _LARGE else f'["i","{value:x}"]'
    if kind is str:
        return text(value)
    if kind is float:
        return f'["f","{value.hex()}"]'
    if kind is bytes:
        return f'["b","{value.hex()}"]'
    if kind is complex:
        return f'["c","{value.real.hex()}","{value.imag.hex()}"]'
    if kind is dict:
        return '["d"' + "".join(f",[{encode(key)},{encode(item)}]" for key, item in value.items()) + "]"
    if (tag := _SEQUENCES.get(kind)) is not None:
        return f'["{tag}"' + "".join(f",{encode(item)}" for item in value) + "]"
    return encode(plain(value))
