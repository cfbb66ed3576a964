"""Counts the engines that are there, which is what a measurement is sized by.

Invariant: at least one is counted, so that tickets wait for the first engine, and a broker that cannot say costs speed
alone.
"""

import logging
import time
from dataclasses import dataclass, field
from typing import Any

from kafka.errors import KafkaError

from infra.settings.tree import Settings
from streams.clients import BrokerUnavailableError, make_admin
from workers.rollout.intake import consumer_group

log = logging.getLogger(__name__)

_LOOK_SECONDS = 10.0
"""An engine that joins takes longer to load its model."""


@dataclass(slots=True)
class Fleet:
    """Members of the rollout workers' consumer group, each of which has one engine."""

    settings: Settings
    bootstrap: str
    _count: int = 1
    _look_at: float = field(default=0.0)

    def engines(self) -> int:
        if time.monotonic() >= self._look_at:
            self._count = max(1, self._members())
            self._look_at = time.monotonic() + _LOOK_SECONDS
        return self._count

    def _members(self) -> int:
        group = consumer_group(self.settings.run.id)
        try:
            admin = make_admin(self.settings.broker, self.bootstrap)
            # kafka-python refuses to decode the rights that the embedded broker names; none is needed.
            admin._process_acl_operations = _as_it_is  # noqa: SLF001
            try:
                return len(admin.describe_groups([group])[group]["members"])
            finally:
                admin.close()
        except (KafkaError, BrokerUnavailableError, ValueError) as error:
            log.warning("no count of rollout workers, %d as before: %s", self._count, error)
            return self._count


def _as_it_is(group: dict[str, Any]) -> dict[str, Any]:
    return group
