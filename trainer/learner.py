"""The asynchronous learner: reads prompts and verdicts, trains, announces versions, closes every group.

Invariants:
- It is the only writer of `groups.closed` and `policy.versions`; each group it reads of ends in one outcome.
- Order of a step: weights on disk, announcement acknowledged, groups closed, checkpoint. A crash between any two
  is redone from the last checkpoint, under a new lineage that overrides what came after it.
- All that leaves the learner goes through one `SerialExecutor`, which keeps that order while the next step begins. No
  weight changes before the executor is empty: a checkpoint may read the models themselves, and versions never pile up.
- It reads by its own offsets, which lie in its checkpoint; the broker keeps none for it.
"""

import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from infra.files.folders import remove_unfinished
from infra.metrics import metrics
from infra.settings.limits import AdmissionLimits
from infra.settings.tree import Settings
from streams.messages import GroupClosed, LineageStarted, Outcome
from streams.topics import Topic
from trainer.background import SerialExecutor
from trainer.groups.batching import BatchAssembler, ReadyGroup, endings_of_step, read_available, resume_offsets
from trainer.groups.groups import GroupEnding, OpenGroup
from trainer.groups.replay import open_source
from trainer.leader.commands import DropGroups, GatherCheckpoint, GatherWeights, LoadCheckpoint, Train
from trainer.leader.coordinator import Coordinator, SingleProcess
from trainer.log_writer import LearnerMessage, LogWriter, reason_label
from trainer.runlog import skipped_updates
from trainer.runlog.loggers import open_loggers
from trainer.runlog.names import scalars_of_step
from trainer.runlog.step_log import STEPS_FILE, record_step
from trainer.step.batch import TrainingBatch, pack_batch
from trainer.step.report import StepReport
from trainer.step.shaping import shaping_of
from trainer.weights import checkpoint
from trainer.weights.build_models import restored_ppo
from trainer.weights.checkpoint import History
from trainer.weights.publish import PublishedWeights, newest_announcement, publisher_of
from workers.models.model_files import resolve_model

log = logging.getLogger(__name__)

_POLL_SECONDS = 0.2
"""A full batch is noticed within this; far below a step's seconds."""


@dataclass(slots=True)
class Position:
    """Where the learner stands in its history."""

    lineage: int
    version: int
    ordinal: int


class Learner:
    """One learner process. KeyboardInterrupt asks `run` to stop."""

    def __init__(self, settings: Settings, bootstrap: str, coordinator: Coordinator | None = None) -> None:
        """`coordinator`: whom it leads, where the models are spread over several processes."""
        self._settings = settings
        self._coordinator: Coordinator = coordinator or SingleProcess()
        self._folder = settings.run.folder / settings.run.id
        self._log = LogWriter(settings, bootstrap)
        self._background = SerialExecutor("publish")
        for kind in ("checkpoints", "versions"):
            remove_unfinished(self._folder / kind)
        template = resolve_model(settings.model.path, settings.run.prepared)
        saved = checkpoint.latest(self._folder / "checkpoints")
        self._source = open_source(settings, bootstrap)
        topics = (self._source.prompts_topic, self._source.scored_topic)
        self._coordinator.broadcast(LoadCheckpoint(saved, self._source.run_id, topics))
        ppo, history = restored_ppo(settings, saved, template)
        self._ppo = self._coordinator.shard(ppo)
        self._ppo.before_update = self._background.drain
        before = newest_announcement(settings, bootstrap)
        lineage = before.lineage + 1 if before else history.lineage
        self._at = Position(lineage, history.version, history.ordinal)
        self._restored = (history.lineage, history.version)
        self._publisher = publisher_of(settings, template)
        self._loggers = open_loggers(settings, "learner", first_version=history.version + 1)
        limits = AdmissionLimits.of(settings.selector.admission)
        self._assembler = BatchAssembler(
            self._source, settings.learner, limits, history.closed, self._coordinator.verdicts
        )
        self._reader = self._coordinator.open_reader(settings, bootstrap, topics, history.offsets)
        self._at_end = False
        self._ended = False
        self._checkpointed = history.version
        self._safe: History | None = None
        self._progress_at = time.monotonic()
        log.info("lineage=%d version=%d resumed_from=%s", lineage, history.version, saved)

    def run(self) -> None:
        """Returns where the log is another run's and every group of it is closed. Raises KeyboardInterrupt. A last
        checkpoint comes before either, but for an interrupt within a step.
        """
        self._start_lineage()
        try:
            while not self._ended:
                self._read()
                self._safe = self._history()
                if self._batch_is_due():
                    self._step()
            self._save_last_checkpoint()
        except KeyboardInterrupt:
            self._save_last_checkpoint()
            raise
        finally:
            self._background.close()
            self._reader.close()
            self._log.close()
            self._loggers.close()

    def _start_lineage(self) -> None:
        at = self._at
        started = LineageStarted(
            run_id=self._settings.run.id,
            lineage=at.lineage,
            version=at.version,
            ordinal=at.ordinal,
            started_at=time.time(),
        )
        self._send(Topic.GROUPS_CLOSED, [started])
        self._announce()

    def _read(self) -> None:
        if self._source.is_replay:
            self._fill()  # before more is read: a log that is there already would fill the memory
            if self._batch_is_due():
                return
        broken, count = read_available(self._reader, self._assembler, _POLL_SECONDS)
        if broken:
            self._background.submit(partial(self._log.write_dead_letters, broken))
        self._background.check()
        if count:
            self._progress_at = time.monotonic()
        now = time.time()
        at_end = self._at_end = self._source.is_replay and not count and not any(self._reader.lag().values())
        if at_end:
            now = math.inf  # what is incomplete at the end stays so
            self._assembler.close_missing()
        caught_up = at_end or (self._assembler.overdue(now) and not any(self._reader.lag().values()))
        self._end(list(self._assembler.endings(self._at.version, now, caught_up=caught_up)))
        self._fill()
        self._ended = at_end and not self._assembler.book.open

    def _fill(self) -> None:
        room = self._settings.selector.admission.groups_per_step - len(self._assembler.taken)
        self._end(list(self._assembler.take(room)))

    def _end(self, ended: Sequence[tuple[OpenGroup, GroupEnding]]) -> None:
        self._close([(group, ending.outcome, ending.reason, None) for group, ending in ended])

    def _batch_is_due(self) -> bool:
        """Enough groups, or nothing in flight that could complete the batch."""
        taken = len(self._assembler.taken)
        if taken >= self._settings.selector.admission.groups_per_step:
            return True
        if self._source.is_replay:  # no clock may decide what is trained on together
            return taken > 0 and self._at_end and not self._assembler.waiting
        idle = time.monotonic() - self._progress_at
        return taken > 0 and not self._assembler.waiting and idle > self._settings.learner.batch_wait_seconds

    def _step(self) -> None:
        started = time.monotonic()
        taken = self._assembler.taken
        staleness = [member.group.staleness(self._at.version) for member in taken]
        # A token of another run's log was made by another policy, whatever its version's number.
        known_weights = set() if self._source.is_replay else {(self._at.lineage, self._at.version), self._restored}
        batch = pack_batch(
            [member.trajectories for member in taken], self._settings.learner.packed_row_tokens, known_weights
        )
        self._safe = None
        self._coordinator.broadcast(Train(batch, self._at.version, self._settings.run.seed))
        report = self._ppo.step(batch, self._at.version, self._settings.run.seed)
        self._keep_skipped(batch, taken, report)
        self._at.version += 1
        trained = time.monotonic()
        report.seconds |= self._background.pop_timings()
        self._announce()
        report.seconds["publish"] = time.monotonic() - trained
        self._close(endings_of_step(taken, staleness, report))
        self._assembler.taken = []
        self._safe = self._history()
        if self._at.version % self._settings.learner.checkpoint_every == 0:
            clock = time.monotonic()
            self._save_checkpoint(self._safe)
            report.seconds["checkpoint"] = time.monotonic() - clock
        report.seconds["total"] = time.monotonic() - started
        self._progress_at = time.monotonic()
        line = record_step(
            self._folder / STEPS_FILE,
            lineage=self._at.lineage,
            version=self._at.version,
            batch=batch,
            report=report,
            staleness=staleness,
            shaping=shaping_of(self._settings.learner.overlong),
        )
        self._loggers.log(scalars_of_step(line), self._at.version)
        log.info(
            "version=%d targets=%d seconds=%.2f loss=%.4f",
            self._at.version,
            report.targets,
            report.seconds["total"],
            report.policy_loss,
        )

    def _keep_skipped(self, batch: TrainingBatch, taken: Sequence[ReadyGroup], report: StepReport) -> None:
        """Before the step is announced: a run that ends here goes on from its last checkpoint. Raises DivergedError."""
        learner, seed = self._settings.learner, self._settings.run.seed
        names = [member.group.group_id for member in taken]
        skipped_updates.keep(self._folder, batch, report.skipped, names, learner, version=self._at.version, seed=seed)
        skipped_updates.require_sane(self._ppo.skips_in_a_row, self._folder, learner)

    def _announce(self) -> None:
        self._coordinator.broadcast(GatherWeights())
        weights = self._publisher.gather_weights(self._ppo.policy)
        self._background.submit(partial(self._publish, weights, self._at.lineage, self._at.version))

    def _publish(self, weights: PublishedWeights, lineage: int, version: int) -> None:
        self._log.send(Topic.POLICY_VERSIONS, [self._publisher.write(weights, lineage, version)])
        metrics.policy_version.set(version)

    def _send(self, topic: Topic, messages: Sequence[LearnerMessage]) -> None:
        self._background.submit(partial(self._log.send, topic, messages))

    def _close(self, ended: Sequence[tuple[OpenGroup, Outcome, str, int | None]]) -> None:
        if not ended:
            return
        messages = [self._closing(*entry) for entry in ended]
        for message in messages:
            metrics.groups_closed_total.labels(message.outcome, reason_label(message)).inc()
        self._send(Topic.GROUPS_CLOSED, messages)
        for group, *_ in ended:
            self._assembler.close(group)
        self._coordinator.broadcast(DropGroups(tuple(group.seq for group, *_ in ended)))
        self._progress_at = time.monotonic()

    def _closing(self, group: OpenGroup, outcome: Outcome, reason: str, staleness: int | None) -> GroupClosed:
        closing = GroupClosed(
            run_id=self._settings.run.id,
            group_id=group.group_id,
            seq=group.seq,
            purpose=group.purpose,
            outcome=outcome,
            reason=reason,
            lineage=self._at.lineage,
            ordinal=self._at.ordinal,
            version=self._at.version,
            staleness=staleness,
            mean_score=group.mean_score,
            closed_at=time.time(),
        )
        self._at.ordinal += 1
        return closing

    def _history(self) -> History:
        return History(
            lineage=self._at.lineage,
            version=self._at.version,
            ordinal=self._at.ordinal,
            offsets=resume_offsets(self._reader, self._assembler),
            closed=self._assembler.book.closed.copy(),
        )

    def _save_last_checkpoint(self) -> None:
        """Of the last moment at which all that was read and sent was noted: an interrupt may have come before that.
        Returns when all is written.
        """
        if self._safe is not None and self._safe.version > self._checkpointed:
            self._save_checkpoint(self._safe)
        self._background.drain()

    def _save_checkpoint(self, history: History) -> None:
        folder, template = self._folder / "checkpoints", self._publisher.template
        self._coordinator.broadcast(GatherCheckpoint())
        collected = checkpoint.collect(self._ppo)
        keep = self._settings.learner.keep_checkpoints
        self._background.submit(partial(checkpoint.write, folder, collected, history, template, keep))
        self._checkpointed = history.version
