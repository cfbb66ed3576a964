"""Reads prompts from dataset files of any known format (trainer/prompts/formats) and kind (dataset_files.py).

Invariant: a row becomes either a PromptRow or a Rejection with file, line and reason; no row stops the others. What its
scorer could not judge whatever a response says is rejected here, before anything is generated for it.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any

import msgspec

from infra.settings.evaluation import Skill
from streams.messages import Question
from trainer.prompts.dataset_errors import RowError
from trainer.prompts.dataset_files import RawRow, raw_rows
from trainer.prompts.formats.known_formats import recognise
from trainer.prompts.formats.own_columns import PLACED_BY, OwnColumns, require_no_misspelling
from trainer.prompts.formats.row_format import Row, RowFormat
from trainer.prompts.formats.scorer_rules import GENRM, ScorerRules
from trainer.prompts.formats.truths import scored_by
from trainer.prompts.prompt_id import prompt_id
from trainer.prompts.row_fields import (
    ORIGINS,
    SPLITS,
    chat_turns,
    choice_of,
    domain_of,
    question_of,
    require_judgeable,
    require_room,
    skill_of,
)

_FIRST = 20
"""Rows of a file from which its format is recognised where columns alone are not enough."""


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
    format: str = OwnColumns.name
    """The format that its row was recognised by."""


@dataclass(frozen=True, slots=True)
class Rejection:
    file: str
    line: int
    """Line of a JSONL or CSV file, row of a Parquet file, or element of a JSON list, from 1."""
    reason: str
    row: str
    """The beginning of the row's text."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Defaults:
    """Values for rows that lack a column, and what the user says of foreign columns."""

    split: str = "train"
    origin: str = "original"
    skill: Skill | None = None
    domain: str | None = None
    rules: ScorerRules = field(default_factory=ScorerRules)
    columns: Mapping[str, str] = field(default_factory=dict)
    """New names of columns: ours -> the file's."""
    verifiers: tuple[str, ...] | None = None
    """Names of the installed verifiers, which rows may use, and each of which reads its prompts; None means any, and
    reads none."""
    largest_bytes: int = 4 * 2**20
    """Largest prompt, with its reference and options: half of the default broker.max_message_bytes. A record holds it
    together with a response."""


def read_dataset(
    path: Path, defaults: Defaults, parser: "RowParser | None" = None
) -> Iterator[tuple[int, PromptRow | Rejection]]:
    """Yields each line or row number, from 1, with its prompt or rejection. A parser that is given knows afterwards
    which columns were ignored.

    Raises DatasetError if the file does not exist, or is of no known kind.
    """
    parser = parser or RowParser(defaults)
    name = path.name
    rows = raw_rows(path)
    first = list(islice(rows, _FIRST))
    parser.look_at(first)
    for line, raw, shown in chain(first, rows):
        try:
            row = parser.parse(raw() if callable(raw) else raw, where=f"{name}:{line}")
        except RowError as error:
            yield line, Rejection(str(path), line, str(error), shown[:1000])
        else:
            yield line, row


def parse_row(raw: Any, defaults: Defaults, where: str = "") -> PromptRow:
    """Raises RowError."""
    return RowParser(defaults).parse(raw, where)


@dataclass(frozen=True, slots=True)
class _Recognised:
    """What is known of rows with the same columns."""

    format: RowFormat
    ignored: tuple[str, ...]

    @property
    def is_own(self) -> bool:
        return isinstance(self.format, OwnColumns)


class RowParser:
    """Parses rows; their format is recognised once for each set of columns."""

    def __init__(self, defaults: Defaults) -> None:
        self._defaults = defaults
        self._renamed = {old: new for new, old in defaults.columns.items()}
        self._known: dict[tuple[Any, ...], _Recognised] = {}
        self._first: list[Row] = []
        self._plain = not (defaults.rules.default or defaults.domain)
        self.ignored: Counter[tuple[str, str]] = Counter()
        """Rows by format and column that the format does not read."""

    def look_at(self, first: Sequence[RawRow]) -> None:
        """Keeps a file's first rows, from which its format may be recognised."""
        self._known.clear()
        self._first.clear()
        for _, raw, _ in first:
            try:
                row = self._rename(raw() if callable(raw) else raw)
            except RowError:
                continue  # it is rejected when its turn comes
            if isinstance(row, Mapping):
                self._first.append(row)

    def parse(self, raw: Any, where: str = "") -> PromptRow:
        """Raises RowError."""
        if self._renamed:
            raw = self._rename(raw)
        if type(raw) is not dict and not isinstance(raw, Mapping):  # the first question is the faster one
            raise RowError(f"expected an object with columns, got {type(raw).__name__}")
        known = self._known.get(tuple(raw)) or self._recognise(raw)
        fields = raw if known.is_own and self._plain else self._convert(raw, known)
        for name in known.ignored:
            self.ignored[known.format.name, name] += 1
        defaults = self._defaults
        prompt, given = fields.get("prompt"), fields.get("messages")
        if prompt and given:
            raise RowError("the row has both `prompt` and `messages`: leave one of them out")
        messages = chat_turns(given or prompt)
        question = question_of(fields, messages, defaults.verifiers)
        require_room(messages, question, defaults.largest_bytes)
        if defaults.verifiers is not None:
            require_judgeable(question)
        return PromptRow(
            id=prompt_id(messages, question),
            domain=domain_of(fields),
            messages=messages,
            question=question,
            split=choice_of(fields, "split", SPLITS, defaults.split),
            origin=choice_of(fields, "origin", ORIGINS, defaults.origin),
            source=str(fields.get("source") or fields.get("id") or where),
            skill=skill_of(fields.get("skill"), defaults.skill),
            format=known.format.name,
        )

    def _rename(self, raw: Any) -> Any:
        """Raises RowError if a row has a column twice."""
        if not isinstance(raw, Mapping) or not self._renamed.keys() & raw.keys():
            return raw
        taken = {new for old, new in self._renamed.items() if old in raw and new in raw and old != new}
        dropped = {name for name in taken if name not in self._renamed}
        return {self._renamed.get(name, name): value for name, value in raw.items() if name not in dropped}

    def _recognise(self, raw: Row) -> _Recognised:
        """Raises RowError."""
        names = tuple(raw)
        if not all(isinstance(name, str) for name in names):
            raise RowError(f"expected columns with names, got {names!r:.100}")
        columns = frozenset(names)
        alike = [row for row in self._first if frozenset(row) == columns]
        found = recognise(columns, alike or [raw])
        if isinstance(found, OwnColumns):
            require_no_misspelling(columns)
        known = _Recognised(found, tuple(sorted(columns - found.reads - {*PLACED_BY})))
        if (
            alike or len(self._known) < _MOST_FORMS
        ):  # a row unlike the first ones may have a format that its columns alone do not tell
            self._known[names] = known
        return known

    def _convert(self, raw: Row, known: _Recognised) -> Row:
        """Raises RowError."""
        rules, domain = self._defaults.rules, self._defaults.domain
        try:
            fields = known.format.convert(raw, rules)
        except RowError:
            raise
        except (TypeError, AttributeError, LookupError, ValueError, RecursionError) as error:
            raise RowError(f"a column has another form than in {known.format.name}: {error}") from error
        if known.is_own:
            if rules.default is not None and not raw.get("verifier"):
                fields |= _with_scorer(rules.default, raw)
        else:
            fields |= {name: raw[name] for name in ("origin", "skill") if raw.get(name) is not None}
            split = fields.get("split") or raw.get("split")
            fields["split"] = (
                split if isinstance(split, str) and split in SPLITS else None
            )  # other datasets have splits of other meanings
        if domain is not None and not raw.get("domain"):
            fields["domain"] = domain
        return fields


_MOST_FORMS = 1000
"""Sets of columns whose format is kept. Rows with optional columns have a few dozen; more are recognised each time."""


def _with_scorer(scorer: str, raw: Row) -> dict[str, Any]:
    """The user's scorer for a row of ours that names none; the row's own options stay. Raises RowError."""
    if scorer == GENRM:
        return {}
    options = raw.get("options")
    return {"verifier": scorer} if options else scored_by(scorer, raw.get("ground_truth"))
