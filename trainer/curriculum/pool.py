"""The prompts that a run draws from, as light rows; what a ticket needs is fetched when it is made.

A run that was given prompts of its own (`run_prompts`) draws from them, any other run from the whole table.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from sqlalchemy import ColumnElement, Connection, exists, or_, select

from infra.db.models import Prompt, RunPrompt
from streams.messages import Question


@dataclass(frozen=True, slots=True)
class PoolPrompt:
    id: str
    domain: str
    origin: str
    quarantined: str | None


@dataclass(frozen=True, slots=True)
class TicketPrompt:
    """What a ticket carries of a prompt."""

    id: str
    domain: str
    messages: tuple[dict[str, str], ...]
    question: Question


_HAS_SCORER = or_(
    Prompt.question["verifier"].astext.is_not(None),
    Prompt.question["ground_truth"].astext.is_not(None),
    Prompt.question["references"][0].astext.is_not(None),
)
"""Neither a verifier, nor a ground truth, nor a reference: nothing could score it."""


def train_prompts(connection: Connection, run_id: str) -> list[PoolPrompt]:
    """Prompts of split `train` that can be scored, quarantined ones included; by id."""
    return _pool(connection, run_id, Prompt.split == "train", _HAS_SCORER)


def heldout_prompts(connection: Connection, run_id: str) -> list[PoolPrompt]:
    """Prompts of split `heldout` that can be scored and are not quarantined; by id."""
    return _pool(connection, run_id, Prompt.split == "heldout", Prompt.quarantined.is_(None), _HAS_SCORER)


def without_scorer(connection: Connection, run_id: str) -> int:
    """How many prompts are left out: open-ended ones whose references were not picked yet."""
    return len(_pool(connection, run_id, ~_HAS_SCORER))


def _pool(connection: Connection, run_id: str, *conditions: ColumnElement[bool]) -> list[PoolPrompt]:
    query = select(Prompt.id, Prompt.domain, Prompt.origin, Prompt.quarantined).where(*conditions).order_by(Prompt.id)
    own = select(RunPrompt.prompt_id).where(RunPrompt.run_id == run_id)
    if connection.scalar(select(exists(own))):
        query = query.where(Prompt.id.in_(own))
    return [PoolPrompt(*row) for row in connection.execute(query)]


def ticket_prompts(connection: Connection, prompt_ids: Sequence[str]) -> list[TicketPrompt]:
    """In the order of the ids."""
    query = select(Prompt.id, Prompt.domain, Prompt.messages, Prompt.question).where(Prompt.id.in_(prompt_ids))
    found = {
        row.id: TicketPrompt(row.id, row.domain, tuple(row.messages), msgspec.convert(row.question, Question))
        for row in connection.execute(query)
    }
    return [found[prompt_id] for prompt_id in prompt_ids]
