"""A process of a learner that another one leads: it does what it is told, and writes nothing.

Invariant: it meets every collective of the leader with its own, in the same order, from the same code.
"""

import logging
from typing import Any

from infra.settings.tree import Settings
from streams.clients import LogReader
from trainer.distributed.process_group import Team
from trainer.leader.commands import Collect, Fetch, Forget, Lag, Poll, Share, Snapshot, Start, Stop, Train
from trainer.leader.coordinator import part_of
from trainer.leader.fsdp import shard
from trainer.leader.segment_cache import Holding
from trainer.weights import checkpoint
from trainer.weights.build_models import restored_ppo
from trainer.weights.publish import publisher_of
from workers.models.model_files import resolve_model

log = logging.getLogger(__name__)


class Follower:
    def __init__(self, settings: Settings, bootstrap: str, team: Team, start: Start) -> None:
        self._team = team
        template = resolve_model(settings.model.path, settings.run.prepared)
        ppo, history = restored_ppo(settings, start.saved, template)
        self._ppo = shard(ppo, settings.learner, team.mesh, part_of(team))
        self._publisher = publisher_of(settings, template)
        self._holding = Holding(start.run_id, start.topics[1], history.closed.copy())
        share = (team.rank, team.size)
        self._reader = LogReader(settings.broker, bootstrap, start.topics, history.offsets, share)
        log.info("follows as %d of %d, version=%d", team.rank, team.size, history.version)

    def run(self) -> None:
        """Until the leader says so. Raises LeaderGoneError."""
        try:
            while not isinstance(order := self._team.ordered(), Stop):
                self._obey(order)
        finally:
            self._reader.close()

    def _obey(self, order: Any) -> None:
        match order:
            case Poll(timeout):
                records = [self._holding.lightened(record) for record in self._reader.poll(timeout)]
                self._team.answer(Share(records, self._reader.positions()))
            case Lag():
                self._team.answer(self._reader.lag())
            case Fetch(seq):
                self._team.answer(self._holding.segments(seq))
            case Forget(seqs):
                self._holding.forget(seqs)
            case Train(batch, version, seed):
                self._ppo.step(batch, version, seed)
            case Snapshot():
                self._publisher.snapshot(self._ppo.policy)
            case Collect():
                checkpoint.collect(self._ppo)
            case _:
                raise TypeError(f"no order: {order!r}")
