"""The prompts from which a run draws, as a query and as compact ids; the other columns are fetched when a ticket is
made.

A run that has prompts of its own (`run_prompts`) draws from them; any other run draws from the whole table.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, exists, func, select

from infra.db.models import Prompt, RunPrompt
from streams.messages import Question
from trainer.curriculum.prompt_ids import PromptIds, read_ids


@dataclass(frozen=True, slots=True)
class TicketPrompt:
    """The part of a prompt that its ticket contains."""

    id: str
    domain: str
    messages: tuple[dict[str, str], ...]
    question: Question


_TRAIN = (Prompt.split == "train", Prompt.route.is_not(None))
"""A prompt has a route if it has a verifier, a ground truth or a reference, by which it can be scored."""


def train_pool(connection: Connection, run_id: str) -> Select[*tuple[Any, ...]]:
    """Prompts of split `train` that can be scored, quarantined ones included: (number, id, domain, origin, quarantined,
    route).
    """
    columns = (Prompt.number, Prompt.id, Prompt.domain, Prompt.origin, Prompt.quarantined, Prompt.route)
    return select(*columns).where(*_TRAIN, *_own(connection, run_id))


def prompts_to_assess(connection: Connection, run_id: str, *, originals: bool) -> PromptIds:
    """New prompts of split `train` that can be scored and are not quarantined, and the original ones if asked for."""
    conditions = [*_TRAIN, Prompt.quarantined.is_(None), *_own(connection, run_id)]
    if not originals:
        conditions.append(Prompt.origin == "new")
    return read_ids(connection, select(Prompt.id).where(*conditions))


def heldout_prompts(connection: Connection, run_id: str) -> PromptIds:
    """Prompts of split `heldout` that can be scored and are not quarantined."""
    conditions = [Prompt.split == "heldout", Prompt.quarantined.is_(None), Prompt.route.is_not(None)]
    return read_ids(connection, select(Prompt.id).where(*conditions, *_own(connection, run_id)))


def without_scorer(connection: Connection, run_id: str) -> int:
    """Number of prompts that are left out because nothing can score them: their references were not picked yet."""
    query = select(func.count()).select_from(Prompt).where(Prompt.route.is_(None), *_own(connection, run_id))
    return connection.scalar(query) or 0


def _own(connection: Connection, run_id: str) -> list[ColumnElement[bool]]:
    own = select(RunPrompt.prompt_id).where(RunPrompt.run_id == run_id)
    return [Prompt.id.in_(own)] if connection.scalar(select(exists(own))) else []


def ticket_prompts(connection: Connection, prompt_ids: Sequence[str]) -> list[TicketPrompt]:
    """The prompts in the order of the ids."""
    query = select(Prompt.id, Prompt.domain, Prompt.messages, Prompt.question).where(Prompt.id.in_(prompt_ids))
    found = {
        row.id: TicketPrompt(row.id, row.domain, tuple(row.messages), msgspec.convert(row.question, Question))
        for row in connection.execute(query)
    }
    return [found[prompt_id] for prompt_id in prompt_ids]
