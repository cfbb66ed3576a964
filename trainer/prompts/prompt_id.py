"""The id of a prompt: the hash of its content.

Invariant: the text that is hashed never changes, because the prompts in every database have their ids from it. It is
what Python's json writes. msgspec writes the same bytes for plain values in a quarter of the time; it writes floats
differently.
"""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import msgspec

from streams.messages import Question

_CANONICAL = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":"))
_PLAIN = msgspec.json.Encoder(order="sorted")
_LEAST, _MOST = -(2**63), 2**63 - 1
_DEEPEST = 16
"""Options are a few levels deep; deeper ones take the slower way."""


def prompt_id(messages: Sequence[dict[str, str]], question: Question) -> str:
    """64 hexadecimal digits; the same question in the same form has the same id in every dataset."""
    hashed: list[Any] = [messages, question.verifier, question.ground_truth, question.options]
    if question.veto is not None:
        hashed.append(question.veto)
    return hashlib.sha256(canonical(hashed, plain=is_plain(question.options))).hexdigest()


def canonical(value: Any, *, plain: bool) -> bytes:
    """The text that is hashed. `plain`: whether `is_plain` holds of every part of the value."""
    return _PLAIN.encode(value) if plain else _CANONICAL.encode(value).encode()


def is_plain(value: Any, depth: int = 0) -> bool:
    """Whether the value holds nothing but text, booleans, None, integers of 64 bits, and lists and dicts of those."""
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return True
    if kind is int:
        return bool(_LEAST <= value <= _MOST)
    if depth == _DEEPEST:
        return False
    if kind is dict:
        return all(type(key) is str and is_plain(item, depth + 1) for key, item in value.items())
    return (kind is list or kind is tuple) and all(is_plain(item, depth + 1) for item in value)
