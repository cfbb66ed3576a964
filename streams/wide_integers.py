"""MessagePack for messages whose free-form fields may hold integers of any size.

Invariant: what is packed reads back equal. MessagePack has integers of 64 bits; a wider one, as in a test that expects
25!, travels as an extension of type WIDE: two's complement, big-endian. A message without one costs nothing extra.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

M = TypeVar("M")

WIDE = 1
"""MessagePack's type number of the extension. Never give it another meaning: old records hold it."""
_LEAST, _MOST = -(2**63), 2**64 - 1

_encoder = msgspec.msgpack.Encoder()


def pack(value: Any) -> bytes:
    """Raises TypeError or ValueError if the value has no form in MessagePack."""
    try:
        return _encoder.encode(value)
    except OverflowError:
        return _encoder.encode(_narrowed(value))


def decoder(kind: type[M]) -> msgspec.msgpack.Decoder[M]:
    """A decoder of what `pack` writes; it raises msgspec.DecodeError."""
    return msgspec.msgpack.Decoder(kind, ext_hook=_extension)


def _narrowed(value: Any) -> Any:
    """A copy in which every integer beyond 64 bits is an extension."""
    if type(value) is int and not _LEAST <= value <= _MOST:
        return msgspec.msgpack.Ext(WIDE, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))
    if isinstance(value, msgspec.Struct):
        fields = {name: _narrowed(getattr(value, name)) for name in value.__struct_fields__}
        return msgspec.structs.replace(value, **fields)
    if isinstance(value, Mapping):
        return {key: _narrowed(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_narrowed(item) for item in value]
    return value


def _extension(code: int, data: memoryview) -> Any:
    if code == WIDE:
        return int.from_bytes(data, "big", signed=True)
    return msgspec.msgpack.Ext(code, bytes(data))
