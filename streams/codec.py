"""Encodes and decodes records: bytes and headers. A record that does not decode raises `DecodeError` and loses nothing:
the caller sends the untouched bytes to the dead letters.

Headers: `schema` (the struct's name), `schema_version`, and on rollouts those of `streams.route_headers`.
"""

from collections.abc import Iterable, Mapping
from typing import TypeVar

import msgspec

from streams import messages
from streams.messages import SCHEMA_VERSION
from streams.wide_integers import decoder as decoder_of
from streams.wide_integers import pack

Header = tuple[str, bytes]
M = TypeVar("M", bound=msgspec.Struct)

_decoders: dict[type, msgspec.msgpack.Decoder[msgspec.Struct]] = {}


class DecodeError(ValueError):
    """The bytes are not the message that was expected; the text says which field and why."""


def encode(message: msgspec.Struct) -> bytes:
    return pack(message)


def headers_of(message: msgspec.Struct, **extra: str) -> list[Header]:
    return headers_of_kind(type(message), **extra)


def headers_of_kind(kind: type[msgspec.Struct], **extra: str) -> list[Header]:
    """The headers of a message of this kind that is encoded already."""
    fixed = {"schema": kind.__name__, "schema_version": str(SCHEMA_VERSION)}
    return [(name, value.encode()) for name, value in (fixed | extra).items()]


def header(headers: Iterable[tuple[str, bytes | None]] | Mapping[str, bytes] | None, name: str) -> str | None:
    """Returns the header's value, or None if it is missing. Kafka knows headers without a value, which count as
    missing.
    """
    pairs = headers.items() if isinstance(headers, Mapping) else (headers or ())
    return next((value.decode("utf-8", "replace") for key, value in pairs if key == name and value is not None), None)


def decode(raw: bytes | None, kind: type[M]) -> M:
    """Raises DecodeError."""
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = decoder_of(kind)
    if raw is None:
        raise DecodeError(f"expected a {kind.__name__}, got a record without a value")
    try:
        message = decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DecodeError(f"not a {kind.__name__}: {error}") from error
    if not isinstance(message, kind):  # the decoder is typed; this narrows for the type checker
        raise DecodeError(f"not a {kind.__name__}: {type(message).__name__}")
    return message


def decode_by_schema(raw: bytes | None, headers: Iterable[Header] | None) -> msgspec.Struct:
    """Decodes a record of a topic with more than one schema: the `schema` header names the struct. Raises
    DecodeError.
    """
    name = header(headers, "schema")
    kind = getattr(messages, name, None) if name else None
    if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
        raise DecodeError(f"unknown schema in headers: {name!r}")
    return decode(raw, kind)
