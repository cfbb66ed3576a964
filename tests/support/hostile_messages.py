"""Hostile records, one generator for every consumer of the log: hypothesis draws what no service would write.

A record is made from a good message. It is cut, replaced by other bytes or by nothing, has another schema, header or
key, belongs to another run, or one field of it, at any depth, is missing or has a value that is out of bounds, of
another type, or at odds with another field.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

import msgspec
from hypothesis import Phase, given, seed, settings
from hypothesis import strategies as st

from streams.arrays import pack_logprobs, pack_tokens
from streams.codec import encode, headers_of
from streams.records import Record
from streams.route_headers import route_headers
from streams.wide_integers import WIDE
from support import messages
from support.messages import Keyed, key_of

_WIDE = msgspec.msgpack.Ext(WIDE, (10**30).to_bytes(13, "big", signed=True))
VALUES: Sequence[Any] = (
    None, True, -1, 0, 1, 99, 2**31, 2**40, 2**63 - 1, 2**64 - 1, _WIDE, -(2**63),
    float("nan"), float("inf"), float("-inf"), -3.0, 1e6, 1e300, -1e-9,
    "", "\x00", "x" * 5000, "nobody", "{{ undefined.field }}", "\u202e\ud7ff", b"", b"\x00", b"\xff" * 7,
    [], [[]], {}, {"role": "nobody"}, [{"role": "system"}], {"a": {"b": [1]}}, msgspec.msgpack.Ext(77, b"?"),
    pack_tokens([2**31 - 1, -5, 3]), pack_tokens([]), pack_logprobs([float("nan"), 5.0, float("-inf")]),
    pack_logprobs([-1.0] * 3), "rtv", "genrm", "infra_error", "correct", "a status of a later version", "train", "eval",
)  # fmt: skip
"""What a field is replaced by."""
BYTES: Sequence[bytes | None] = (
    None, b"", b"\xc1", b"\x80", b"{}", b"\x00" * 40, b"not MessagePack", b"\xdd\xff\xff\xff\xff", b"\x91" * 3000,
    msgspec.msgpack.encode([]), msgspec.msgpack.encode({"run_id": messages.RUN}), msgspec.msgpack.encode("text"),
)  # fmt: skip
"""Whole records; None is a tombstone."""
_KEYS = (None, b"", b"\xff\xfe", b"run:0", b"run:5", b"other:0", b"k" * 2000)
_HEADERS: Sequence[tuple[str, Any]] = (
    ("schema", b"Nobody"), ("schema", b"\xff"), ("schema", None), ("schema", b"Rollout"), ("schema_version", b"99"),
    ("route", b"nowhere"), ("route", None), ("shadow_route", b"\xff\xfe"), ("shadow", b""),
    ("dead_letter.attempts", b"many"), ("dead_letter.attempts", b"9" * 30), ("dead_letter.first_failed_at", b"nan"),
    ("dead_letter.offset", b"x"), ("dead_letter.topic", b"\xff"), ("", b""), ("\u0000", b"\x00"),
)  # fmt: skip


def _paths(tree: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The places of all values in a decoded message."""
    items: list[tuple[Any, Any]] = []
    if isinstance(tree, Mapping):
        items = list(tree.items())
    elif isinstance(tree, list):
        items = list(enumerate(tree))
    return [found for key, value in items for found in [(*at, key), *_paths(value, (*at, key))]]


@st.composite
def _changed(draw: st.DrawFn, message: msgspec.Struct) -> bytes:
    """The message with one to three fields changed, removed or added."""
    tree = msgspec.msgpack.decode(encode(message))
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(_paths(tree)))
        place = tree
        for step in path[:-1]:
            place = place[step]
        match draw(st.sampled_from(["replace", "replace", "replace", "remove", "add"])):
            case "replace":
                place[path[-1]] = deepcopy(draw(st.sampled_from(VALUES)))
            case "remove":
                del place[path[-1]]
            case _ if isinstance(place, dict):
                place["field_of_a_later_version"] = deepcopy(draw(st.sampled_from(VALUES)))
    return msgspec.msgpack.encode(tree)


@st.composite
def hostile_records(draw: st.DrawFn, message: Keyed, topic: str, others: Sequence[Keyed] = ()) -> Record:
    """A record of `topic` in place of the one that would hold `message`. `others`: messages of other schemas."""
    good = encode(message)
    value = draw(
        st.one_of(
            _changed(message),
            _changed(message),
            st.sampled_from(BYTES),
            st.integers(0, len(good) - 1).map(lambda end: good[:end]),
            st.binary(max_size=64).map(lambda more: good + b"\x00" + more),
            st.sampled_from([good, *map(encode, others)]),
        )
    )
    headers: list[tuple[str, Any]] = list(headers_of(message, **_route_headers(message)))
    if draw(st.booleans()):
        headers = draw(st.lists(st.sampled_from([*_HEADERS, *headers]), max_size=5))
    key = draw(st.sampled_from([key_of(message).encode(), *_KEYS]))
    return Record(topic, draw(st.integers(0, 1)), draw(st.integers(10_000, 10_500)), 0.0, key, value, tuple(headers))


def good_record(message: Keyed, topic: str, offset: int = 0, partition: int = 0) -> Record:
    """The record as the service would write it."""
    headers = tuple(headers_of(message, **_route_headers(message)))
    return Record(topic, partition, offset, 0.0, key_of(message).encode(), encode(message), headers)


def _route_headers(message: Keyed) -> dict[str, str]:
    question = getattr(message, "question", None)
    return route_headers(question) if question is not None and hasattr(message, "index") else {}


def drawn(strategy: st.SearchStrategy[Record], count: int) -> list[Record]:
    """The same `count` records each time, for a test whose broker is too slow for a property of its own."""
    found: list[Record] = []

    @seed(0)
    @settings(max_examples=count, database=None, phases=[Phase.generate], deadline=None)
    @given(strategy)
    def collect(record: Record) -> None:
        found.append(record)

    collect()
    return found
