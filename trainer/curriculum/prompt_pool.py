"""The prompts from which a run draws, as light rows; the other columns are fetched when a ticket is made.

A run that has prompts of its own (`run_prompts`) draws from them; any other run draws from the whole table.
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
    """The part of a prompt that its ticket contains."""

    id: str
    domain: str
    messages: tuple[dict[str, str], ...]
    question: Question


_HAS_SCORER = or_(
    Prompt.question["verifier"].astext.is_not(None),
    Prompt.question["ground_truth"].astext.is_not(None),
    Prompt.question["references"][0].astext.is_not(None),
)
"""A prompt can be scored if it has a verifier, a ground truth or a reference."""


def train_prompts(connection: Connection, run_id: str) -> list[PoolPrompt]:
    """Prompts of split `train` that can be scored, quarantined ones included; by id."""
    return _pool(connection, run_id, Prompt.split == "train", _HAS_SCORER)


def heldout_prompts(connection: Connection, run_id: str) -> list[PoolPrompt]:
    """Prompts of split `heldout` that can be scored and are not quarantined; by id."""
    return _pool(connection, run_id, Prompt.split == "heldout", Prompt.quarantined.is_(None), _HAS_SCORER)


def without_scorer(connection: Connection, run_id: str) -> int:
    """Number of prompts that are left out because nothing can score them: their references were not picked yet."""
    return len(_pool(connection, run_id, ~_HAS_SCORER))


def _pool(connection: Connection, run_id: str, *conditions: ColumnElement[bool]) -> list[PoolPrompt]:
    query = select(Prompt.id, Prompt.domain, Prompt.origin, Prompt.quarantined).where(*conditions).order_by(Prompt.id)
    own = select(RunPrompt.prompt_id).where(RunPrompt.run_id == run_id)
    if connection.scalar(select(exists(own))):
        query = query.where(Prompt.id.in_(own))
    return [PoolPrompt(*row) for row in connection.execute(query)]


def ticket_prompts(connection: Connection, prompt_ids: Sequence[str]) -> list[TicketPrompt]:
    """The prompts in the order of the ids."""
    query = select(Prompt.id, Prompt.domain, Prompt.messages, Prompt.question).where(Prompt.id.in_(prompt_ids))
    found = {
        row.id: TicketPrompt(row.id, row.domain, tuple(row.messages), msgspec.convert(row.question, Question))
        for row in connection.execute(query)
    }
    return [found[prompt_id] for prompt_id in prompt_ids]
