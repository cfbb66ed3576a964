"""Groups in work, from the ticket to the acknowledged rollouts.

Invariant: a group is in work once, however often its ticket is read. All places at which its ticket was read are handed
back together, once every sample is acknowledged or the group is dropped. Places in a lost partition are forgotten.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from streams.messages import PromptTicket
from streams.records import Record, RecordPlace, TopicPartition

_REMEMBERED = 4096
"""Number of finished groups kept to recognise late duplicates: far more than are dispatched while a dispatcher
restarts."""


@dataclass(slots=True)
class TicketGroup:
    ticket: PromptTicket
    record: Record
    """The record that the ticket was decoded from."""
    places: set[RecordPlace] = field(default_factory=set)
    missing: set[int] = field(default_factory=set)
    """Indices of samples that the broker has not acknowledged."""
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
        """Returns False if the group is finished already: then the record is done at once."""
        if ticket.group_id in self._finished:
            return False
        group = self._groups.get(ticket.group_id)
        if group is None:
            group = self._groups[ticket.group_id] = TicketGroup(ticket, record, missing=set(range(ticket.samples)))
        group.places.add(record.place)
        return True

    def __contains__(self, group_id: str, /) -> bool:
        return group_id in self._groups

    def group(self, group_id: str) -> TicketGroup:
        return self._groups[group_id]

    def waiting(self) -> list[PromptTicket]:
        """Returns the tickets not yet started, in order of arrival."""
        return [group.ticket for group in self._groups.values() if not group.started]

    def started(self) -> list[PromptTicket]:
        """Returns the tickets that were started, in order of arrival."""
        return [group.ticket for group in self._groups.values() if group.started]

    def overdue(self, now: float) -> list[str]:
        """Returns the groups past their deadline, started or not: they are expired, whatever comes of them."""
        return [group_id for group_id, group in self._groups.items() if group.ticket.deadline <= now]

    def oldest(self) -> float | None:
        """Returns the Unix seconds at which the ticket longest in work was produced; None if none is in work."""
        record = self.oldest_record()
        return None if record is None else record.timestamp

    def oldest_record(self) -> Record | None:
        """Returns the record of the ticket longest in work; None if none is in work."""
        return next((group.record for group in self._groups.values()), None)

    def start(self, group_id: str, prompt_token_ids: tuple[int, ...]) -> None:
        self._groups[group_id].prompt_token_ids = prompt_token_ids

    def load(self, version: int) -> int:
        """Returns the number of unacknowledged samples that can be worked on at `version` or by their own weights."""
        return sum(
            len(group.missing)
            for group in self._groups.values()
            if group.started or group.ticket.weights is not None or group.ticket.min_version <= version
        )

    def acknowledge(self, group_id: str, index: int) -> Iterable[RecordPlace]:
        """Returns the places of the group's ticket if this was its last sample, else none. A group that was dropped
        meanwhile has none.
        """
        group = self._groups.get(group_id)
        if group is None:
            return ()
        group.missing.discard(index)
        return self.drop(group_id) if not group.missing else ()

    def lose(self, partitions: Iterable[TopicPartition]) -> list[str]:
        """Forget what was read from these partitions; returns the groups that are no longer in work. If their tickets
        are read again, they begin anew.
        """
        gone = set(partitions)
        for group in self._groups.values():
            group.places = {place for place in group.places if place.partition not in gone}
        lost = [group_id for group_id, group in self._groups.items() if not group.places]
        for group_id in lost:
            del self._groups[group_id]
        return lost

    def drop(self, group_id: str) -> Iterable[RecordPlace]:
        """End the group; returns its places."""
        self._finished[group_id] = None
        if len(self._finished) > _REMEMBERED:
            del self._finished[next(iter(self._finished))]
        return self._groups.pop(group_id).places
