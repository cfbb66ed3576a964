"""Groups in work, from the ticket to the acknowledged rollouts.

Invariant: a group is in work once, however often its ticket is read; all the places of its ticket are handed back
together, once every sample is acknowledged, or once the group is dropped.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from streams.messages import PromptTicket
from streams.records import Record, RecordPlace

_REMEMBERED = 4096
"""Finished groups that a late duplicate is recognised by: far more than are dispatched while a dispatcher restarts."""


@dataclass(slots=True)
class TicketGroup:
    ticket: PromptTicket
    record: Record
    """What the ticket was decoded from."""
    places: set[RecordPlace] = field(default_factory=set)
    missing: set[int] = field(default_factory=set)
    """Samples that the broker has not acknowledged."""
    prompt_token_ids: tuple[int, ...] = ()
    """Empty until the group is started."""

    @property
    def started(self) -> bool:
        return bool(self.prompt_token_ids)


class TicketBook:
    def __init__(self) -> None:
        self._groups: dict[str, TicketGroup] = {}
        self._finished: dict[str, None] = {}

    def __len__(self) -> int:
        return len(self._groups)

    def add(self, ticket: PromptTicket, record: Record) -> bool:
        """False where the group is finished already: the record is then done at once."""
        if ticket.group_id in self._finished:
            return False
        group = self._groups.get(ticket.group_id)
        if group is None:
            group = self._groups[ticket.group_id] = TicketGroup(ticket, record, missing=set(range(ticket.samples)))
        group.places.add(record.place)
        return True

    def group(self, group_id: str) -> TicketGroup:
        return self._groups[group_id]

    def startable(self, version: int) -> list[PromptTicket]:
        """Tickets not yet started that `version` satisfies, in the order they came."""
        return [
            group.ticket for group in self._groups.values() if not group.started and group.ticket.min_version <= version
        ]

    def overdue(self, now: float) -> list[PromptTicket]:
        """Tickets not yet started and past their deadline, whatever version they wait for."""
        return [g.ticket for g in self._groups.values() if not g.started and g.ticket.deadline <= now]

    def oldest(self) -> float | None:
        """When the ticket that is longest in work was produced."""
        return next((group.record.timestamp for group in self._groups.values()), None)

    def start(self, group_id: str, prompt_token_ids: tuple[int, ...]) -> None:
        self._groups[group_id].prompt_token_ids = prompt_token_ids

    def load(self, version: int) -> int:
        """Samples that can be worked on at `version` and are not acknowledged."""
        return sum(len(g.missing) for g in self._groups.values() if g.started or g.ticket.min_version <= version)

    def acknowledge(self, group_id: str, index: int) -> Iterable[RecordPlace]:
        """The places of the group's ticket once this was its last sample, else none."""
        group = self._groups[group_id]
        group.missing.discard(index)
        return self.drop(group_id) if not group.missing else ()

    def drop(self, group_id: str) -> Iterable[RecordPlace]:
        """The group is over; its places."""
        self._finished[group_id] = None
        if len(self._finished) > _REMEMBERED:
            del self._finished[next(iter(self._finished))]
        return self._groups.pop(group_id).places
