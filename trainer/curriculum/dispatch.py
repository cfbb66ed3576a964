"""The dispatch outbox: a group's row is committed before its ticket is produced, then marked as confirmed.

Invariants
- `seq` is contiguous from 0: the run's only selector assigns it in the transaction that writes the row.
- A crash at any point neither loses nor doubles a group: the ticket of an unconfirmed row is produced again at start,
  with the same bytes, and a ticket that is read twice makes one group.
"""

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from kafka import KafkaProducer
from sqlalchemy import Connection, func, insert, select, update

from infra.db.models import Group
from infra.metrics import metrics
from infra.settings.tree import Settings
from streams.clients import confirm, send
from streams.codec import decode, encode, headers_of
from streams.messages import PromptTicket, Purpose, Sampling, group_id
from streams.records import Output
from streams.topics import Topic, topic_name
from trainer.curriculum.prompt_pool import TicketPrompt, ticket_prompts
from trainer.curriculum.selector_lock import SelectorSession

_RECOVER_BATCH = 256
"""Tickets that `recover` produces at a time, since it reads them into memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DispatchRequest:
    """How to dispatch any number of prompts."""

    purpose: Purpose
    label: str
    samples: int
    min_version: int = 0
    version: int
    lineage: int
    """`version` and `lineage` are those of the newest announcement at the time of the request."""
    seeds: Mapping[str, int] = field(default_factory=dict)
    """Sampling seed by prompt id; the seed of a prompt without one comes from its group's `seq`."""


class Dispatcher:
    """The only producer of `prompts`."""

    def __init__(self, settings: Settings, session: SelectorSession, producer: KafkaProducer) -> None:
        self._settings = settings
        self._session = session
        self._producer = producer
        self._topic = topic_name(settings.topics.prefix, Topic.PROMPTS)

    def dispatch(self, request: DispatchRequest, prompt_ids: Sequence[str]) -> None:
        """Dispatches one group per prompt, in this order. After a DeliveryError the rows wait for `recover`."""
        if not prompt_ids:
            return
        with self._session.transaction() as connection:
            first = next_seq(connection, self._session.run_id)
            prompts = ticket_prompts(connection, prompt_ids)
            tickets = [self._ticket(request, prompt, first + index) for index, prompt in enumerate(prompts)]
            encoded = [(ticket, encode(ticket)) for ticket in tickets]
            connection.execute(insert(Group), [_row(request, ticket, raw) for ticket, raw in encoded])
        self._produce(encoded)
        for ticket in tickets:
            metrics.groups_dispatched_total.labels(ticket.purpose, ticket.domain).inc()

    def recover(self) -> int:
        """Produces every unconfirmed ticket again, oldest first; returns their number."""
        recovered = 0
        query = select(Group.ticket).where(Group.run_id == self._session.run_id, ~Group.confirmed)
        while True:
            with self._session.transaction() as connection:
                raws = connection.scalars(query.order_by(Group.seq).limit(_RECOVER_BATCH)).all()
            if not raws:
                return recovered
            self._produce([(decode(raw, PromptTicket), raw) for raw in raws])
            recovered += len(raws)

    def _produce(self, tickets: Sequence[tuple[PromptTicket, bytes]]) -> None:
        deliveries = [
            send(self._producer, Output(self._topic, ticket.group_id.encode(), raw, tuple(headers_of(ticket))))
            for ticket, raw in tickets
        ]
        confirm(self._producer, deliveries, self._settings.broker.request_timeout_seconds)
        with self._session.transaction() as connection:
            connection.execute(
                update(Group)
                .where(Group.run_id == self._session.run_id, Group.seq.in_([ticket.seq for ticket, _ in tickets]))
                .values(confirmed=True)
            )

    def _ticket(self, request: DispatchRequest, prompt: TicketPrompt, seq: int) -> PromptTicket:
        settings, now = self._settings, time.time()
        sampling = settings.rollout.sampling
        return PromptTicket(
            run_id=settings.run.id,
            group_id=group_id(settings.run.id, seq),
            seq=seq,
            prompt_id=prompt.id,
            domain=prompt.domain,
            purpose=request.purpose,
            samples=request.samples,
            messages=prompt.messages,
            question=prompt.question,
            sampling=Sampling(
                temperature=sampling.temperature,
                max_new_tokens=sampling.max_new_tokens_by_domain.get(prompt.domain, sampling.max_new_tokens),
                top_p=sampling.top_p,
                seed=request.seeds.get(prompt.id, sampling_seed(settings.run.seed, seq)),
            ),
            deadline=now + settings.selector.admission.deadline_seconds,
            dispatched_at=now,
            min_version=request.min_version,
        )


def next_seq(connection: Connection, run_id: str) -> int:
    last = connection.scalar(select(func.max(Group.seq)).where(Group.run_id == run_id))
    return 0 if last is None else last + 1


def sampling_seed(run_seed: int, key: int | str) -> int:
    """A seed in [0, 2^31), which every engine accepts. `key` tells the draws of one run apart."""
    digest = hashlib.blake2b(f"{run_seed}/{key}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "little") >> 1


def _row(request: DispatchRequest, ticket: PromptTicket, raw: bytes) -> dict[str, Any]:
    return {
        "run_id": ticket.run_id,
        "seq": ticket.seq,
        "group_id": ticket.group_id,
        "prompt_id": ticket.prompt_id,
        "purpose": ticket.purpose,
        "samples": ticket.samples,
        "label": request.label,
        "dispatched_version": request.version,
        "dispatched_lineage": request.lineage,
        "ticket": raw,
        "confirmed": False,
        "dispatched_at": datetime.fromtimestamp(ticket.dispatched_at, UTC),
        "deadline": datetime.fromtimestamp(ticket.deadline, UTC),
    }
