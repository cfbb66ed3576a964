"""Reads prompts from dataset files: JSONL and Parquet, with the project's own columns, verl's or TRL's.

Invariant: a row becomes either a PromptRow or a Rejection with file, line and reason; no row stops the others.

Formats, recognised for each row by its columns
    own     domain, messages or prompt; optional verifier, veto, ground_truth, references, options, split, origin,
            skill, source, id
    verl    data_source, prompt, ability, reward_model {style, ground_truth}, extra_info
    TRL     prompt, solution; optional domain (mathematics otherwise)
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from infra.settings.evaluation import Skill
from streams.messages import Question
from streams.wide_integers import pack
from trainer.prompts.prompt_id import is_plain, prompt_id

_ROLES = ("system", "user", "assistant")
_SPLITS = {"train": "train", "heldout": "heldout", "test": "heldout", "validation": "heldout", "val": "heldout"}
_ORIGINS = {"original": "original", "new": "new"}
_MATH = ("math", "mathematics")
_STRICT = json.JSONEncoder(ensure_ascii=False, allow_nan=False)
_MAX_DOMAIN = 64
"""Width of the database's column."""


class DatasetError(ValueError):
    """The whole file cannot be read; the text names it and says what to do."""


class RowError(ValueError):
    """One row is not a prompt; the text says why."""


class PromptRow(msgspec.Struct, frozen=True):
    """A struct, because a file has millions of them, and a frozen dataclass takes six times as long to make."""

    id: str
    """Hash of the messages and of how answers are judged. References do not enter it, since they may be picked
    later."""
    domain: str
    messages: tuple[dict[str, str], ...]
    question: Question
    split: str
    origin: str
    source: str
    skill: Skill | None = None
    """The skill under which an evaluation reports it; None leaves it to the domain."""


@dataclass(frozen=True, slots=True)
class Rejection:
    file: str
    line: int
    """Line of a JSONL file or row of a Parquet file, from 1."""
    reason: str
    row: str
    """The beginning of the row's text."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Defaults:
    """Values for rows that lack a column."""

    split: str = "train"
    origin: str = "original"
    skill: Skill | None = None
    verifiers: tuple[str, ...] | None = None
    """Names of verifiers that rows may use; None means any."""
    largest_bytes: int = 4 * 2**20
    """Largest prompt, with its reference and options: half of the default broker.max_message_bytes. A record holds it
    together with a response."""


def read_dataset(path: Path, defaults: Defaults) -> Iterator[tuple[int, PromptRow | Rejection]]:
    """Yields each line or row number, from 1, with its prompt or rejection.

    Raises DatasetError if the file does not exist, or is neither JSONL nor Parquet.
    """
    name = path.name
    for line, raw, shown in raw_rows(path):
        try:
            row = parse_row(raw() if callable(raw) else raw, defaults, where=f"{name}:{line}")
        except RowError as error:
            yield line, Rejection(str(path), line, str(error), shown[:1000])
        else:
            yield line, row


def parse_row(raw: Any, defaults: Defaults, where: str = "") -> PromptRow:
    """Raises RowError."""
    if type(raw) is not dict and not isinstance(raw, Mapping):  # the first question is the faster one
        raise RowError(f"expected an object with columns, got {type(raw).__name__}")
    fields = _common_columns(raw)
    messages = chat_turns(fields.get("messages") or fields.get("prompt"))
    question = _question(fields, messages, defaults.verifiers)
    _require_room(messages, question, defaults.largest_bytes)
    return PromptRow(
        id=prompt_id(messages, question),
        domain=_domain(fields),
        messages=messages,
        question=question,
        split=_choice(fields, "split", _SPLITS, defaults.split),
        origin=_choice(fields, "origin", _ORIGINS, defaults.origin),
        source=str(fields.get("source") or fields.get("id") or where),
        skill=_skill(fields.get("skill"), defaults.skill),
    )


def raw_rows(path: Path) -> Iterator[tuple[int, Any, str]]:
    """Yields (number, the row or a function that decodes it, the row as text).

    The function raises RowError. Raises DatasetError if the file does not exist, or is neither JSONL nor Parquet.
    """
    if not path.is_file():
        raise DatasetError(f"no dataset at {path}: give a .jsonl or .parquet file")
    if path.suffix == ".parquet":
        yield from _parquet_rows(path)
    elif path.suffix in (".jsonl", ".json", ".ndjson"):
        yield from _jsonl_rows(path)
    else:
        raise DatasetError(f"{path}: unknown kind of file {path.suffix!r}: give .jsonl or .parquet")


def _jsonl_rows(path: Path) -> Iterator[tuple[int, Any, str]]:
    with path.open("rb") as file:
        for line, raw in enumerate(file, start=1):
            stripped = raw.removeprefix(b"\xef\xbb\xbf").strip() if line == 1 else raw.strip()
            if stripped:
                yield line, _JsonLine(stripped), stripped.decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class _JsonLine:
    raw: bytes

    def __call__(self) -> Any:
        try:
            return msgspec.json.decode(self.raw)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return self._decode_leniently()

    def _decode_leniently(self) -> Any:
        """Takes NaN and lone surrogates, for a reason that names the column, and places errors by line and column."""
        try:
            return json.loads(self.raw.decode("utf-8"))
        except UnicodeDecodeError as error:
            raise RowError(f"not UTF-8: {error.reason} at byte {error.start}") from error
        except (ValueError, RecursionError) as error:
            raise RowError(f"not JSON: {error}") from error


def _parquet_rows(path: Path) -> Iterator[tuple[int, Any, str]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            number = 0
            for batch in file.iter_batches(batch_size=1024):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row, repr(row)
    except (pa.ArrowException, OSError) as error:
        raise DatasetError(f"{path} is not a readable Parquet file: {error}") from error


def _common_columns(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Renames verl's and TRL's columns to the project's own."""
    if "reward_model" in raw:
        return _from_verl(raw)
    if "solution" in raw and "ground_truth" not in raw:
        columns = {"domain": "mathematics", "verifier": "math", "ground_truth": raw["solution"]}
        return columns | {name: value for name, value in raw.items() if value is not None}
    return dict(raw)


def _from_verl(raw: Mapping[str, Any]) -> dict[str, Any]:
    reward, extra = raw["reward_model"], raw.get("extra_info") or {}
    if not isinstance(reward, Mapping) or not isinstance(extra, Mapping):
        raise RowError("reward_model and extra_info must be objects, as in verl's format")
    style, truth = reward.get("style"), reward.get("ground_truth")
    ability = str(raw.get("ability") or "").lower()
    if style not in ("rule", "model"):
        raise RowError(f"reward_model.style is {style!r}: expected 'rule' (a verifier) or 'model' (the judge)")
    if style == "rule" and ability in ("code", "coding"):
        raise RowError("code with test cases needs a verifier that runs it: name one in a column `verifier`")
    rule = "math" if ability in _MATH else "exact"
    return {
        "domain": raw.get("domain") or raw.get("ability") or raw.get("data_source"),
        "prompt": raw.get("prompt"),
        "verifier": raw.get("verifier") or (rule if style == "rule" else None),
        "ground_truth": truth,
        "split": raw.get("split") or extra.get("split"),
        "origin": raw.get("origin"),
        "source": ":".join(str(part) for part in (raw.get("data_source"), extra.get("index")) if part is not None),
    }


def chat_turns(value: Any) -> tuple[dict[str, str], ...]:
    """Converts a prompt to chat turns: a text becomes one user turn. Raises RowError if the last turn is not the
    user's.
    """
    if isinstance(value, str):
        value = [{"role": "user", "content": value}]
    if not isinstance(value, list) or not value:
        raise RowError("no prompt: expected `messages` (a list of turns) or `prompt` (a text or a list of turns)")
    turns = []
    for turn in value:
        is_turn = type(turn) is dict or isinstance(turn, Mapping)
        role, content = (turn.get("role"), turn.get("content")) if is_turn else (None, None)
        if role not in _ROLES or not isinstance(content, str) or not content.strip():
            raise RowError(f"a turn needs a role from {_ROLES} and text as content, got {turn!r:.200}")
        turns.append({"role": str(role), "content": content})
    if turns[-1]["role"] != "user":
        raise RowError(f"the last turn must be the user's, got {turns[-1]['role']!r}")
    return tuple(turns)


def _question(
    fields: Mapping[str, Any], messages: tuple[dict[str, str], ...], verifiers: tuple[str, ...] | None
) -> Question:
    verifier, veto, truth = fields.get("verifier"), fields.get("veto"), fields.get("ground_truth")
    for name in (verifier, veto):
        if name and verifiers is not None and name not in verifiers:
            raise RowError(f"unknown verifier {name!r}: installed are {', '.join(verifiers)}")
    if verifier and veto:
        raise RowError("`verifier` sends a prompt to RTV, `veto` checks what GenRM judges: give one of them")
    if isinstance(truth, int | float) and not isinstance(truth, bool):
        truth = str(truth)
    plain = {
        "prompt": messages[-1]["content"],
        "verifier": verifier or None,
        "veto": veto or None,
        "ground_truth": truth,
        "references": fields.get("references") or [],
        "options": _options(fields.get("options")),
    }
    try:
        question = msgspec.convert(plain, Question)
    except msgspec.ValidationError as error:
        raise RowError(f"a column has the wrong type: {error}") from error
    _require_storable(question, messages, tuple(str(fields.get(name)) for name in ("domain", "source", "id")))
    return question


def _options(value: Any) -> Any:
    """Decodes options. Parquet stores free-form options as JSON text, and returns absent keys of a struct as None."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise RowError(f"options is text that is not JSON: {error}") from error
    if isinstance(value, Mapping):
        return {name: item for name, item in value.items() if item is not None}
    return {} if value is None else value


def _require_storable(question: Question, messages: tuple[dict[str, str], ...], others: tuple[str, ...]) -> None:
    """Raises RowError for values that cannot be stored.

    Postgres takes no NUL in text and no NaN in JSON, and UTF-8 takes no lone surrogate.
    """
    try:
        if question.options and not is_plain(question.options):  # all else is text
            _STRICT.encode(question.options)
            pack(question.options)
        text = msgspec.json.encode((question, messages, others))
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise RowError(f"cannot be stored as JSON: {error}") from error
    if b"\\u0000" in text and b"\\u0000" in text.replace(
        b"\\\\", b""
    ):  # an escaped backslash before u0000 is plain text
        raise RowError("contains a NUL character, which Postgres cannot store")


def _require_room(messages: tuple[dict[str, str], ...], question: Question, largest: int) -> None:
    """Raises RowError for a prompt that no record holds together with a response to it."""
    size = len(pack((messages, question)))
    if size > largest:
        raise RowError(
            f"prompt, reference and options have {size} bytes, more than {largest}, which is half of "
            "broker.max_message_bytes: shorten them, or raise it"
        )


def _domain(fields: Mapping[str, Any]) -> str:
    domain = fields.get("domain")
    if not isinstance(domain, str) or not domain.strip() or len(domain) > _MAX_DOMAIN:
        raise RowError(f"domain must be a name of 1 to {_MAX_DOMAIN} characters, got {domain!r:.200}")
    return domain.strip()


def _skill(value: Any, default: Skill | None) -> Skill | None:
    if value is None:
        return default
    try:
        return Skill(value)
    except ValueError as error:
        raise RowError(f"skill is {value!r:.100}: expected one of {', '.join(Skill)}") from error


def _choice(fields: Mapping[str, Any], name: str, allowed: Mapping[str, str], default: str) -> str:
    value = fields.get(name)
    if value is None:
        return default
    if not isinstance(value, str) or value not in allowed:
        raise RowError(f"{name} is {value!r:.100}: expected one of {', '.join(allowed)}")
    return allowed[value]
