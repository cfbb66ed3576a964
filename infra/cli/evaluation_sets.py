"""The sets of prompts that `rewardstream evaluate` takes, and how they come into Postgres."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from infra.cli.errors import CommandError, ExitCode
from infra.settings.evaluation import Skill

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

    from trainer.prompts.dataset import PromptRow, Rejection

_SHOWN_REJECTIONS = 3


@dataclass(frozen=True, slots=True)
class EvaluationSet:
    """A file of prompts, and the skill of its rows that name none."""

    path: Path
    skill: Skill | None = None

    @classmethod
    def parse(cls, text: str) -> "EvaluationSet":
        """`FILE` or `SKILL=FILE`. Raises CommandError if there is no such file."""
        before, equals, after = text.partition("=")
        if equals and before in {*Skill}:
            return cls(_existing(after), Skill(before))
        return cls(_existing(text))


@dataclass(frozen=True, slots=True)
class IngestedSet:
    name: str
    skill: Skill | None
    prompt_ids: tuple[str, ...]
    set_aside: int
    """Rows that are not prompts, or are in the split that is trained on."""


def ingest_set(engine: "Engine", one: EvaluationSet, show: "Callable[[str], None]") -> IngestedSet:
    """Writes the set's prompts as held-out prompts. Raises DatasetError if the file cannot be read."""
    from trainer.prompts.ingest import ingest_rows

    rows, rejected = _read(one)
    report = ingest_rows(engine, rows, str(one.path))
    bad = {rejection.line for rejection in report.rejected}
    rejected += report.rejected
    accepted = [row.id for number, row in enumerate(rows, start=1) if number not in bad]
    show(f"{one.path}: {len(accepted)} prompts")
    for rejection in rejected[:_SHOWN_REJECTIONS]:
        show(f"  set aside {rejection}")
    if len(rejected) > _SHOWN_REJECTIONS:
        show(f"  {len(rejected)} rows set aside in all")
    return IngestedSet(str(one.path), one.skill, tuple(dict.fromkeys(accepted)), len(rejected))


def _read(one: EvaluationSet) -> "tuple[list[PromptRow], list[Rejection]]":
    from trainer.prompts.dataset import Defaults, PromptRow, read_dataset
    from workers.verifiers.registry import verifier_names

    defaults = Defaults(split="heldout", skill=one.skill, verifiers=tuple(verifier_names()))
    rows: list[PromptRow] = []
    rejected: list[Rejection] = []
    for _, row in read_dataset(one.path, defaults):
        if isinstance(row, PromptRow):
            rows.append(row)
        else:
            rejected.append(row)
    return rows, rejected


def _existing(text: str) -> Path:
    path = Path(text)
    if not path.is_file():
        raise CommandError(
            f"--sets {text}: no such file; give a JSONL or Parquet file of prompts, or SKILL=FILE with a skill of "
            f"{', '.join(Skill)}",
            ExitCode.UNREACHABLE,
        )
    return path
