"""Rollouts on their way to the broker, whose outcome is polled without waiting."""

from collections import deque
from dataclasses import dataclass
from typing import Any, Protocol, cast

from kafka.errors import KafkaError

from streams.clients import Delivery, DeliveryError


class _Future(Protocol):
    """The parts of kafka-python's future that are used here."""

    is_done: bool

    def get(self, timeout: float | None = None) -> Any: ...


@dataclass(frozen=True, slots=True)
class Sent:
    group_id: str
    index: int
    delivery: Delivery


class Deliveries:
    """Deliveries in the order of sending, which is nearly the order in which they are acknowledged."""

    def __init__(self) -> None:
        self._open: deque[Sent] = deque()

    def __len__(self) -> int:
        return len(self._open)

    def add(self, sent: Sent) -> None:
        self._open.append(sent)

    def acknowledged(self) -> list[Sent]:
        """Returns the deliveries that the broker has acknowledged by now. Raises DeliveryError if it refused one."""
        found = []
        while self._open and cast("_Future", self._open[0].delivery).is_done:
            sent = self._open.popleft()
            try:
                sent.delivery.get(timeout=0)
            except KafkaError as error:
                raise DeliveryError(f"rollout {sent.group_id}/{sent.index} was not acknowledged: {error!r}") from error
            found.append(sent)
        return found
