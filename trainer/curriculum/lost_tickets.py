"""Tickets that Postgres has dropped with their closing, of groups that a resumed learner opened again.

Invariant: a ticket that the log still has is produced again with the same bytes. One that the log has lost is replaced
by one without content, and its digest by that of the new one; its group can only expire.
"""

import hashlib
from collections.abc import Collection

from sqlalchemy import Connection, select, update

from infra.db.models import Group, Prompt
from infra.settings.tree import Settings
from streams.clients import LogReader
from streams.codec import DecodeError, decode, encode
from streams.messages import PromptTicket, Purpose, Question, Sampling
from streams.topics import Topic, topic_name


def logged_tickets(settings: Settings, seqs: Collection[int]) -> dict[int, bytes]:
    """The bytes of the run's tickets with these numbers that are in the log, which is read from its beginning."""
    found: dict[int, bytes] = {}
    topic = topic_name(settings.topics.prefix, Topic.PROMPTS)
    with LogReader(settings.broker, settings.broker.bootstrap_servers, [topic]) as reader:
        for record in reader.read_to_end():
            try:
                ticket = decode(record.value, PromptTicket)
            except DecodeError:  # whoever follows the topic has set it aside
                continue
            if ticket.run_id == settings.run.id and ticket.seq in seqs and record.value is not None:
                found[ticket.seq] = record.value
    return found


def replace_ticket(connection: Connection, run_id: str, seq: int) -> bytes:
    """Writes a ticket without content to the group's row, and returns it."""
    own = (Group.run_id == run_id, Group.seq == seq)
    query = select(Group, Prompt.domain).join(Prompt, Prompt.id == Group.prompt_id)
    row = connection.execute(query.where(*own)).one()
    raw = encode(
        PromptTicket(
            run_id=run_id,
            group_id=row.group_id,
            seq=seq,
            prompt_id=row.prompt_id,
            domain=row.domain,
            purpose=Purpose(row.purpose),
            samples=row.samples,
            messages=(),
            question=Question(prompt=""),
            sampling=Sampling(temperature=1.0, max_new_tokens=1),
            deadline=row.deadline.timestamp(),
            dispatched_at=row.dispatched_at.timestamp(),
        )
    )
    connection.execute(update(Group).where(*own).values(ticket=raw, ticket_digest=hashlib.sha256(raw).digest()))
    return raw
