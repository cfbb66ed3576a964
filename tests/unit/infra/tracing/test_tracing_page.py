"""The page on tracing has every name of the table with its meaning, and no other."""

import re
from pathlib import Path

import infra
from infra.tracing.names import SCHEMA_URL, Attribute, EventName, SpanName

PAGE = (Path(infra.__file__).parent / "docs" / "tracing.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `([^`]+)` \| (.+) \|$", PAGE, re.MULTILINE)


def test_the_attributes_are_those_of_the_table() -> None:
    assert [row for row in ROWS if "." in row[0]] == [(str(name), name.meaning) for name in Attribute]


def test_the_spans_are_those_of_the_table() -> None:
    found = {name: text.partition(" | ")[2] for name, text in ROWS if "." not in name}
    assert list(found.values()) == [name.meaning for name in SpanName]
    assert all(told.startswith(str(name)) for told, name in zip(found, SpanName, strict=True))


def test_the_conventions_are_named_by_their_version() -> None:
    assert f"semantic conventions {SCHEMA_URL.rpartition('/')[2]}" in PAGE
    assert str(EventName.EVALUATION) in PAGE
