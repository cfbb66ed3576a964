"""The schema only grows: what was ever written is read, and what is written now is read by who knows less."""

import msgspec
import pytest
from support.examples import EXAMPLES, GOLDEN, golden_path

from streams import messages
from streams.codec import DecodeError, decode, decode_by_schema, encode, headers_of

BY_NAME = {type(message).__name__: message for message in EXAMPLES}


def names(message: msgspec.Struct) -> str:
    return type(message).__name__


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.msgpack")), ids=lambda path: path.stem)
def test_every_golden_file_is_the_message_it_was(path) -> None:
    message = BY_NAME[path.name.split(".")[0]]
    assert decode(path.read_bytes(), type(message)) == message


@pytest.mark.parametrize("message", EXAMPLES, ids=names)
def test_every_message_has_a_golden_file_and_no_field_was_taken_from_it(message) -> None:
    before = msgspec.msgpack.decode(golden_path(message).read_bytes())
    now = msgspec.msgpack.decode(encode(message))
    assert_grown(before, now, names(message))


def assert_grown(before: object, now: object, where: str) -> None:
    """Every field of the old bytes is there, with the same value, in the new."""
    if isinstance(before, dict):
        assert isinstance(now, dict), where
        for key, value in before.items():
            assert key in now, f"{where}.{key} is gone"
            assert_grown(value, now[key], f"{where}.{key}")
    elif isinstance(before, list):
        assert isinstance(now, list), where
        assert len(now) == len(before), where
        for number, pair in enumerate(zip(before, now, strict=True)):
            assert_grown(*pair, f"{where}[{number}]")
    else:
        assert now == before, where


@pytest.mark.parametrize("message", EXAMPLES, ids=names)
def test_a_field_from_the_future_is_skipped(message) -> None:
    raw = msgspec.msgpack.decode(encode(message)) | {"added_later": {"deep": [1, 2]}}
    assert decode(msgspec.msgpack.encode(raw), type(message)) == message


@pytest.mark.parametrize("message", EXAMPLES, ids=names)
def test_fields_with_defaults_may_be_missing_and_others_may_not(message) -> None:
    raw = msgspec.msgpack.decode(encode(message))
    for name in type(message).__struct_fields__:
        without = msgspec.msgpack.encode({key: value for key, value in raw.items() if key != name})
        required = name not in optional_fields(type(message))
        if required:
            with pytest.raises(DecodeError, match=name):
                decode(without, type(message))
        else:
            decode(without, type(message))


def optional_fields(kind: type[msgspec.Struct]) -> set[str]:
    return {field.name for field in msgspec.structs.fields(kind) if not field.required}


def test_every_struct_of_a_topic_has_an_example() -> None:
    nested = {"Question", "Sampling", "Segment", "VersionSpan", "Timings"}
    structs = {
        name
        for name, kind in vars(messages).items()
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind.__module__ == messages.__name__
    }
    assert structs - nested == set(BY_NAME)


def test_the_schema_header_names_the_struct() -> None:
    for message in EXAMPLES:
        assert decode_by_schema(encode(message), headers_of(message)) == message


@pytest.mark.parametrize("headers", [None, [], [("schema", b"Nonsense")], [("schema", b"Any")], [("schema", b"\xff")]])
def test_an_unknown_schema_is_a_decode_error(headers) -> None:
    with pytest.raises(DecodeError, match="schema"):
        decode_by_schema(b"", headers)


@pytest.mark.parametrize("raw", [None, b"", b"\xc1", b"\x80", b"\x93\x01", "str".encode("utf-16")])
def test_bytes_that_are_no_message_are_a_decode_error(raw) -> None:
    with pytest.raises(DecodeError, match="Rollout"):
        decode(raw, messages.Rollout)
