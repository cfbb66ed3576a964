"""Reads the rows of dataset files: JSONL, JSON, Parquet, CSV, TSV, each but Parquet also as .gz.

Invariant: a row that cannot be decoded stops no other. Memory holds one batch of 1,024 Parquet rows, one line, or for a
JSON array what its largest element takes, however large the file is.
"""

import codecs
import csv
import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import msgspec

from trainer.prompts.dataset_errors import DatasetError, RowError

RawRow = tuple[int, Any, str]
"""The row's number from 1, the row or a function that decodes it, and the row as text. The function raises RowError."""

_PARQUET_BATCH = 1024
_CHUNK = 2**20
"""Characters of a JSON array that are read at a time."""
_LARGEST_ELEMENT = 64 * 2**20
"""Characters of one element of a JSON array: sixteen times the largest prompt. Beyond it the element is broken, and
reading on would hold the whole file.
"""
_LARGEST_CELL = 64 * 2**20
_NESTED = frozenset(
    [
        *("messages", "prompt", "references", "options", "reward_model", "extra_info", "choices", "metadata", "kwargs"),
        *("instruction_id_list", "test_list", "test_imports", "challenge_test_list", "ground_truth", "dataset"),
    ]
)
"""Columns that hold lists or objects, which a CSV file can only write as JSON."""


def raw_rows(path: Path) -> Iterator[RawRow]:
    """Yields each row of a file. Raises DatasetError if the file does not exist, is of no known kind, or breaks off."""
    if not path.is_file():
        raise DatasetError(f"no dataset at {path}: give a file of the kinds {', '.join(KINDS)}")
    reader = _READERS.get(kind_of(path))
    if reader is None:
        raise DatasetError(f"{path}: unknown kind of file {path.suffix!r}: give one of {', '.join(KINDS)}")
    try:
        yield from reader(path)
    except (OSError, EOFError, zlib.error) as error:
        raise DatasetError(f"{path} cannot be read to its end: {error}") from error


def kind_of(path: Path) -> str:
    """The ending that says how a file is read, without .gz."""
    ending = path.suffixes[-2:] if path.suffix == ".gz" else path.suffixes[-1:]
    return ending[0] if ending else ""


def _open(path: Path) -> BinaryIO:
    return cast("BinaryIO", gzip.open(path, "rb")) if path.suffix == ".gz" else path.open("rb")


def _jsonl_rows(path: Path) -> Iterator[RawRow]:
    with _open(path) as file:
        for line, raw in enumerate(file, start=1):
            stripped = raw.removeprefix(b"\xef\xbb\xbf").strip() if line == 1 else raw.strip()
            if stripped:
                yield line, JsonLine(stripped), stripped.decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class JsonLine:
    raw: bytes

    def __call__(self) -> Any:
        """Raises RowError."""
        try:
            return msgspec.json.decode(self.raw)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return self.decode_leniently()

    def decode_leniently(self) -> Any:
        """Takes NaN and lone surrogates, for a reason that names the column, and places errors by line and column."""
        try:
            return json.loads(self.raw.decode("utf-8"))
        except UnicodeDecodeError as error:
            raise RowError(f"not UTF-8: {error.reason} at byte {error.start}") from error
        except (ValueError, RecursionError) as error:
            raise RowError(f"not JSON: {error}") from error


def _json_rows(path: Path) -> Iterator[RawRow]:
    """A list of rows, or one row per line: many `.json` files are JSONL."""
    with _open(path) as file:
        first = file.read(64).removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    return _array_rows(path) if first == b"[" else _jsonl_rows(path)


def _array_rows(path: Path) -> Iterator[RawRow]:
    decode = json.JSONDecoder().raw_decode
    with _open(path) as file:
        window = _Window(file, path)
        window.at = window.text.index("[") + 1
        for number in range(1, 2**63):
            if window.skip(", \t\r\n") == "]":
                return
            while True:
                try:
                    row, end = decode(window.text, window.at)
                except (ValueError, RecursionError) as error:
                    if not window.grow():
                        raise DatasetError(f"{path}: element {number} of the list is not JSON: {error}") from error
                    continue
                if end < len(window.text) or not window.grow():
                    break
            yield number, row, window.text[window.at : end]
            window.at = end


class _Window:
    """The part of a file that is in memory: what is left of the last chunk, and the next."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._reader, self._path = codecs.getreader("utf-8-sig")(file), path
        self.text, self.at = "", 0
        self.grow()

    def skip(self, blanks: str) -> str:
        """Goes to the next character that is none of `blanks`, and returns it. Raises DatasetError at the end."""
        while True:
            while self.at < len(self.text):
                if self.text[self.at] not in blanks:
                    return self.text[self.at]
                self.at += 1
            if not self.grow():
                raise DatasetError(f"{self._path}: the list has no end: the file is cut off")

    def grow(self) -> bool:
        """Drops what has been read, and reads on: as much as there is already. Returns whether there was more. Raises
        DatasetError.
        """
        left = self.text[self.at :]
        if len(left) > _LARGEST_ELEMENT:
            return False
        try:
            more = self._reader.read(max(_CHUNK, len(left)))
        except UnicodeDecodeError as error:
            raise DatasetError(f"{self._path} is not UTF-8: {error}") from error
        if more:
            self.text, self.at = left + more, 0
        return bool(more)


def _parquet_rows(path: Path) -> Iterator[RawRow]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            number = 0
            for batch in file.iter_batches(batch_size=_PARQUET_BATCH):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row, repr(row)
    except (pa.ArrowException, OSError) as error:
        raise DatasetError(f"{path} is not a readable Parquet file: {error}") from error


def _csv_rows(path: Path) -> Iterator[RawRow]:
    """Rows of text with the columns of the first line. An empty cell is None; lists and objects are written as JSON."""
    delimiter = "\t" if kind_of(path) == ".tsv" else ","
    csv.field_size_limit(_LARGEST_CELL)
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, delimiter=delimiter, strict=True)
        try:
            for row in reader:
                yield reader.line_num, _Cells(row), repr(row)
        except (csv.Error, UnicodeDecodeError) as error:
            raise DatasetError(f"{path}:{reader.line_num + 1}: {error}") from error


@dataclass(frozen=True, slots=True)
class _Cells:
    row: dict[Any, Any]

    def __call__(self) -> dict[str, Any]:
        """Raises RowError."""
        if None in self.row or None in self.row.values():
            raise RowError("the row has more or fewer cells than the first line has columns")
        return {name: _cell(name, text) for name, text in self.row.items()}


def _cell(name: str, text: str) -> Any:
    if not text:
        return None
    if name in _NESTED and text[0] in "[{":
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text
    return text


_READERS: dict[str, Callable[[Path], Iterator[RawRow]]] = {
    ".jsonl": _jsonl_rows,
    ".ndjson": _jsonl_rows,
    ".json": _json_rows,
    ".parquet": _parquet_rows,
    ".csv": _csv_rows,
    ".tsv": _csv_rows,
}
KINDS = (*_READERS, ".jsonl.gz")
