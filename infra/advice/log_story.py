"""What only the log has of a rollout: the response that has no verdict yet, and what made it.

Invariant: it reads only, and finds a record wherever its topic has it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

from infra.settings.tree import Settings
from streams.clients import LogReader
from streams.codec import DecodeError, decode
from streams.messages import Rollout, ScoredTrajectory
from streams.topics import Topic, topic_name

M = TypeVar("M", Rollout, ScoredTrajectory)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedRollout:
    rollout: Rollout
    verdict: ScoredTrajectory | None
    """None if no scorer has answered yet."""


def find_rollout(settings: Settings, bootstrap: str, rollout_id: str) -> LoggedRollout | None:
    """The first record of a rollout; None if the log has none. Raises BrokerUnavailableError, LookupError."""
    scored = next(
        (
            one
            for one in _messages(settings, bootstrap, Topic.SCORED, rollout_id, ScoredTrajectory)
            if one.rollout.rollout_id == rollout_id
        ),
        None,
    )
    if scored is not None:
        return LoggedRollout(rollout=scored.rollout, verdict=scored)
    of_workers = _messages(settings, bootstrap, Topic.ROLLOUTS, rollout_id, Rollout)
    rollout = next((one for one in of_workers if one.rollout_id == rollout_id), None)
    return None if rollout is None else LoggedRollout(rollout=rollout, verdict=None)


def _messages(settings: Settings, bootstrap: str, topic: Topic, rollout_id: str, kind: type[M]) -> Iterator[M]:
    """The readable messages of the rollout's group, by the key alone until one fits."""
    group = rollout_id.rpartition("/")[0].encode()
    name = topic_name(settings.topics.prefix, topic)
    with LogReader(settings.broker, bootstrap, [name]) as reader:
        for record in reader.read_to_end():
            if record.key != group:
                continue
            try:
                yield decode(record.value, kind)
            except DecodeError:
                continue  # it is with the dead letters, which are no story of this rollout
