"""The sets of prompts of an evaluation, and how they come into Postgres."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine, select

from infra.db.models import Prompt
from infra.evaluation.package_sets import PACKAGE_SETS
from infra.settings.evaluation import Skill
from trainer.evaluator.stored import chunks
from trainer.prompts.dataset import Defaults, PromptRow, Rejection, parse_row, read_dataset
from trainer.prompts.dataset_errors import DatasetError
from trainer.prompts.ingest import ingest_rows
from workers.verifiers.registry import verifier_names

_SHOWN_REJECTIONS = 3


@dataclass(frozen=True, slots=True)
class EvaluationSet:
    """A file of prompts, or a set out of an installed package; and the skill of its rows that name none."""

    name: str
    """The file's path, or a name of PACKAGE_SETS."""
    skill: Skill | None = None

    @classmethod
    def parse(cls, text: str) -> "EvaluationSet":
        """Parses `FILE`, `SKILL=FILE` or the name of a package's set. Raises DatasetError if there is none."""
        before, equals, after = text.partition("=")
        if equals and before in {*Skill}:
            return cls(_require_existing(after), Skill(before))
        return cls(_require_existing(text))


@dataclass(frozen=True, slots=True)
class IngestedSet:
    name: str
    skill: Skill | None
    prompt_ids: tuple[str, ...]
    set_aside: int
    """Rows that are not prompts, and prompts that are known as of the other split."""


def ingest_set(engine: Engine, one: EvaluationSet, show: Callable[[str], None]) -> IngestedSet:
    """Writes the set's prompts to Postgres, held out if their rows do not say otherwise. Raises DatasetError if the
    file cannot be read.
    """
    rows, rejected = _read(one)
    report = ingest_rows(engine, rows, one.name)
    splits = _splits(engine, [row.id for row in rows])
    ids = tuple(dict.fromkeys(row.id for row in rows if splits.get(row.id) == row.split))
    set_aside = len(rejected) + report.rejected
    show(f"{one.name}: {len(ids)} prompts")
    for rejection in [*rejected, *report.examples][:_SHOWN_REJECTIONS]:
        show(f"  set aside {rejection}")
    if set_aside > _SHOWN_REJECTIONS:
        show(f"  {set_aside} rows set aside in all")
    return IngestedSet(one.name, one.skill, ids, set_aside)


def _read(one: EvaluationSet) -> tuple[list[PromptRow], list[Rejection]]:
    defaults = Defaults(split="heldout", skill=one.skill, verifiers=tuple(verifier_names()))
    if one.name in PACKAGE_SETS:
        chosen = {} if one.skill is None else {"skill": one.skill.value}
        return [parse_row({**row, **chosen}, defaults, where=one.name) for row in PACKAGE_SETS[one.name].read()], []
    rows: list[PromptRow] = []
    rejected: list[Rejection] = []
    for _, row in read_dataset(Path(one.name), defaults):
        if isinstance(row, PromptRow):
            rows.append(row)
        else:
            rejected.append(row)
    return rows, rejected


def _splits(engine: Engine, ids: Sequence[str]) -> dict[str, str]:
    with engine.connect() as connection:
        return {
            row.id: row.split
            for chunk in chunks(ids)
            for row in connection.execute(select(Prompt.id, Prompt.split).where(Prompt.id.in_(chunk)))
        }


def _require_existing(text: str) -> str:
    if text not in PACKAGE_SETS and not Path(text).is_file():
        raise DatasetError(
            f"--sets {text}: no such file; give a JSONL or Parquet file of prompts, SKILL=FILE with a skill of "
            f"{', '.join(Skill)}, or a package's set: {', '.join(PACKAGE_SETS)}"
        )
    return text
