"""The dispatch outbox: a group's row is committed before its ticket is produced, then marked as confirmed.

Invariants
- `seq` is contiguous from 0: the run's only selector assigns it in the transaction that writes the row.
- A prompt that no record holds is quarantined. Its ticket goes out without content, so that its group fails and none
  is left open.
- A crash at any point neither loses nor doubles a group: the ticket of an unconfirmed row is produced again at start,
  with the same bytes, and a ticket that is read twice makes one group.
"""

import hashlib
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec
from kafka import KafkaProducer
from sqlalchemy import Connection, func, insert, select, update

from infra.db.models import Group, Prompt
from infra.metrics import metrics
from infra.settings.tree import Settings
from streams.clients import LogReader, confirm, send
from streams.codec import DecodeError, decode, encode, headers_of_kind
from streams.dead_letters import dead_letter, not_set_aside, reason_of, within
from streams.messages import PolicyVersion, PromptTicket, Purpose, Question, Sampling, group_id
from streams.records import Output, Record
from streams.topics import Topic, topic_name
from trainer.curriculum.dispatch_traces import traced_dispatch
from trainer.curriculum.lost_tickets import logged_tickets, replace_ticket
from trainer.curriculum.prompt_pool import TicketPrompt, ticket_prompts
from trainer.curriculum.selector_lock import SelectorSession

log = logging.getLogger(__name__)

_STAGE = "selector"
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
    weights: PolicyVersion | None = None
    """The version that makes every token; None takes the newest from `min_version` on."""
    seeds: Mapping[str, int] = field(default_factory=dict)
    """Sampling seed by prompt id; the seed of a prompt without one comes from its group's `seq`."""


class Dispatcher:
    """The only producer of `prompts`."""

    def __init__(self, settings: Settings, session: SelectorSession, producer: KafkaProducer) -> None:
        self._settings = settings
        self._session = session
        self._producer = producer
        self._topic = topic_name(settings.topics.prefix, Topic.PROMPTS)
        self._headers = tuple(headers_of_kind(PromptTicket))

    def dispatch(self, request: DispatchRequest, prompt_ids: Sequence[str]) -> None:
        """Dispatches one group per prompt, in this order. After a DeliveryError the rows wait for `recover`."""
        if not prompt_ids:
            return
        with self._session.transaction() as connection:
            first = next_seq(connection, self._session.run_id)
            prompts = ticket_prompts(connection, prompt_ids)
            tickets = [self._ticket(request, prompt, first + index) for index, prompt in enumerate(prompts)]
            encoded = [(ticket, self._encode_fitting(connection, ticket)) for ticket in tickets]
            connection.execute(insert(Group), [_row(request, ticket, raw) for ticket, raw in encoded])
        self._produce([(ticket.seq, ticket.group_id, raw) for ticket, raw in encoded])
        for ticket in tickets:
            metrics.groups_dispatched_total.labels(ticket.purpose, ticket.domain).inc()

    def recover(self) -> int:
        """Produces every unconfirmed ticket again, oldest first; returns their number."""
        recovered = 0
        query = select(Group.seq, Group.group_id, Group.ticket)
        query = query.where(Group.run_id == self._session.run_id, Group.outcome.is_(None), ~Group.confirmed)
        while True:
            with self._session.transaction() as connection:
                rows = connection.execute(query.order_by(Group.seq).limit(_RECOVER_BATCH)).all()
            if not rows:
                return recovered
            self._produce(self._complete(rows))
            recovered += len(rows)

    def set_aside(self, broken: Sequence[tuple[Record, DecodeError]]) -> None:
        """Writes dead letters for records of the learner that do not decode, unless an earlier selector did. Raises
        DeliveryError.
        """
        if not broken:
            return
        broker, topic = self._settings.broker, topic_name(self._settings.topics.prefix, Topic.DEAD_LETTERS)
        with LogReader(broker, broker.bootstrap_servers, [topic]) as reader:
            new = not_set_aside(reader, broken)
        letters = [within(dead_letter(record, error, _STAGE, topic), broker.max_message_bytes) for record, error in new]
        deliveries = [send(self._producer, letter) for letter in letters]
        confirm(self._producer, deliveries, broker.outage_seconds)
        for letter in letters:
            metrics.dead_letters_total.labels(_STAGE, reason_of(letter)).inc()

    def repeat_overdue(self, grace_seconds: float) -> int:
        """Produces the tickets of open groups again whose deadline passed more than `grace_seconds` ago, oldest first
        and at most as many as `recover` reads at a time; returns their number. The learner expires a group that it
        hears of only now: its first ticket is gone from the log, or was lost with a broker's disk.
        """
        late = func.now() - func.make_interval(0, 0, 0, 0, 0, 0, grace_seconds)
        query = select(Group.seq, Group.group_id, Group.ticket).where(
            Group.run_id == self._session.run_id, Group.outcome.is_(None), Group.confirmed, Group.deadline < late
        )
        with self._session.transaction() as connection:
            rows = connection.execute(query.order_by(Group.seq).limit(_RECOVER_BATCH)).all()
        self._produce(self._complete(rows))
        return len(rows)

    def _complete(self, rows: Sequence[Any]) -> list[tuple[int, str, bytes]]:
        """The rows' tickets. A group that was closed and is open again has its ticket in the log; if it is gone from
        there, too, the group gets one without content, which expires.
        """
        lacking = {row.seq for row in rows if row.ticket is None}
        found = logged_tickets(self._settings, lacking) if lacking else {}
        for seq in sorted(lacking - found.keys()):
            with self._session.transaction() as connection:
                found[seq] = replace_ticket(connection, self._session.run_id, seq)
        return [(row.seq, row.group_id, found.get(row.seq, row.ticket)) for row in rows]

    def _produce(self, tickets: Sequence[tuple[int, str, bytes]]) -> None:
        """`tickets`: (seq, group id, encoded ticket)."""
        if not tickets:
            return
        outputs = [Output(self._topic, group.encode(), raw, self._headers) for _, group, raw in tickets]
        with traced_dispatch(outputs) as traced:
            deliveries = [send(self._producer, output) for output in traced]
            confirm(self._producer, deliveries, self._settings.broker.outage_seconds)
        with self._session.transaction() as connection:
            connection.execute(
                update(Group)
                .where(Group.run_id == self._session.run_id, Group.seq.in_([seq for seq, *_ in tickets]))
                .values(confirmed=True)
            )

    def _encode_fitting(self, connection: Connection, ticket: PromptTicket) -> bytes:
        """Encodes a ticket; one that is too large for a record without its content, and its prompt is quarantined."""
        raw, largest = encode(ticket), self._settings.broker.max_message_bytes
        size = Output(self._topic, ticket.group_id.encode(), raw, self._headers).size
        if size <= largest:
            return raw
        why = f"its ticket has {size} bytes, more than broker.max_message_bytes ({largest})"
        log.error("prompt %s is quarantined: %s", ticket.prompt_id, why)
        connection.execute(update(Prompt).where(Prompt.id == ticket.prompt_id).values(quarantined=why))
        question = Question(prompt="", verifier=ticket.question.verifier)
        return encode(msgspec.structs.replace(ticket, messages=(), question=question))

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
            weights=request.weights,
        )


def pinned_weights(connection: Connection, run_id: str, label: str) -> PolicyVersion | None:
    """The weights that the tickets of this label name; None if they name none, or there is no ticket."""
    query = select(Group.ticket).where(Group.run_id == run_id, Group.label == label).limit(1)
    ticket = connection.scalar(query)
    return None if ticket is None else decode(ticket, PromptTicket).weights


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
        "ticket_digest": hashlib.sha256(raw).digest(),
        "confirmed": False,
        "dispatched_at": datetime.fromtimestamp(ticket.dispatched_at, UTC),
        "deadline": datetime.fromtimestamp(ticket.deadline, UTC),
    }
