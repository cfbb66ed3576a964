"""The asynchronous learner: reads prompts and verdicts, trains, announces versions, closes every group.

Invariants:
- It is the only writer of `groups.closed` and `policy.versions`. Every group that it has read about ends with exactly
  one outcome.
- A step writes in this order: weights on disk, announcement acknowledged, groups closed, checkpoint. After a crash
  between any two, the learner repeats the work since its last checkpoint, under a new lineage that overrides what came
  after that checkpoint.
- All output goes through one `SerialExecutor`, which keeps that order while the next step begins. No weight changes
  before the executor is empty, because a checkpoint may read the models themselves; so versions never pile up.
- It reads from its own offsets, which are in its saved history; the broker stores none for it.
- It announces and saves nothing unless its claim to the run is the newest (`trainer.fencing.claim`).
- Between two steps, the history is saved apart from the weights every few seconds, as long as its version is that of
  the weights on disk; so a restart repeats seconds of measuring and filtering.
"""

import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import msgspec

from infra.files.run_files import STEPS_FILE
from infra.metrics import metrics
from infra.readiness import mark_ready
from infra.settings.admission_limits import AdmissionLimits
from infra.settings.tree import Settings
from streams.messages import GroupClosed, Outcome, PolicyVersion
from streams.topics import Topic
from trainer.background import SerialExecutor
from trainer.fencing import saved_states
from trainer.fencing.claim import Claim
from trainer.groups.batching import (
    BatchAssembler,
    OrphanWatch,
    ReadyGroup,
    endings_of_step,
    read_available,
    resume_offsets,
)
from trainer.groups.group_traces import StepTrace, trace_closing, traced_step
from trainer.groups.groups import GroupEnding, OpenGroup
from trainer.groups.replay import open_source
from trainer.leader.commands import DropGroups, GatherWeights, LoadCheckpoint, SaveCheckpoint
from trainer.leader.coordinator import Coordinator, SingleProcess
from trainer.log_writer import LogWriter, reason_label
from trainer.runlog import skipped_updates
from trainer.runlog.loggers import open_loggers
from trainer.runlog.names import scalars_of_step
from trainer.runlog.step_log import record_step
from trainer.step.batch import TrainingBatch
from trainer.step.report import StepReport
from trainer.step.shaping import shaping_of
from trainer.step.trajectory import with_one_prompt
from trainer.stop_signals import StopSignals
from trainer.weights import checkpoint
from trainer.weights.build_models import restored_ppo
from trainer.weights.history import LearnerHistory
from trainer.weights.publish import PublishedWeights, publisher_of
from workers.models.model_files import resolve_model

log = logging.getLogger(__name__)

_POLL_SECONDS = 0.2
"""A full batch is noticed within this time, which is far below that of a step."""
_HISTORY_SECONDS = 3.0
"""Time between two saved histories: a crash repeats at most this much measuring, for one small file."""


@dataclass(slots=True)
class Position:
    """The learner's place in its history."""

    lineage: int
    version: int
    ordinal: int
    """Number of the next closing."""


class Learner:
    """The learner, in the only process or in the leading one. KeyboardInterrupt stops `run`."""

    def __init__(self, settings: Settings, bootstrap: str, coordinator: Coordinator | None = None) -> None:
        """`coordinator` reaches the other processes, if the models are sharded over several."""
        self._settings = settings
        self._coordinator: Coordinator = coordinator or SingleProcess(settings.learner)
        self._folder = settings.run.folder / settings.run.id
        self._states = self._folder / "checkpoints"
        self._writer = LogWriter(settings, bootstrap)
        self._background = SerialExecutor("publish")
        template = resolve_model(settings.model.path, settings.run.prepared)
        self._claim = Claim(settings, bootstrap)
        saved = saved_states.newest_state(self._states, self._claim.lineages)
        history = saved.history
        self._claimed = self._claim.make(history, saved_states.highest_lineage(self._states))
        self._own = saved_states.own_folder(self._states, self._claimed.lineage, self._claim.unique)
        saved = saved_states.pin(self._states, saved, self._claim.lineages, self._own)
        self._source = open_source(settings, bootstrap)
        topics = (self._source.prompts_topic, self._source.scored_topic)
        self._coordinator.broadcast(LoadCheckpoint(saved.checkpoint, history, self._source.run_id, topics))
        self._ppo = restored_ppo(settings, saved.checkpoint, template, self._coordinator.processes)
        vocabulary = self._ppo.policy.get_input_embeddings().num_embeddings
        self._ppo.before_update = self._begin_update
        self._stop_signals = StopSignals()
        self._position = Position(self._claimed.lineage, history.version, history.ordinal)
        self._taken_over = replace(history, lineage=self._claimed.lineage)
        self._restored = (history.lineage, history.version)
        self._publisher = publisher_of(settings, template)
        self._loggers = open_loggers(settings, "learner", first_version=history.version + 1)
        limits = AdmissionLimits.of(settings.selector.admission)
        self._assembler = BatchAssembler(
            self._source, settings.learner, limits, history.closed, self._coordinator.verdicts, vocabulary
        )
        self._orphans = OrphanWatch()
        self._reader = self._coordinator.open_reader(settings, bootstrap, topics, history.offsets)
        self._announced: PolicyVersion | None = None
        self._at_end = False
        self._ended = False
        self._checkpointed = history.version
        self._resumable: LearnerHistory | None = None
        self._progress_at = time.monotonic()
        self._history_at = time.monotonic() + _HISTORY_SECONDS
        log.info(
            "lineage=%d version=%d closings=%d resumed_from=%s",
            self._position.lineage, history.version, history.ordinal, saved.checkpoint,
        )  # fmt: skip

    def run(self) -> None:
        """Trains until interrupted; in a replay, until every group of the log is closed.

        Raises KeyboardInterrupt. It saves its state in both cases; an interrupt that comes while weights change waits
        for the end of the step. Raises FencedError if another learner takes the run over.
        """
        try:
            self._start_lineage()
            while not self._ended:
                self._read()
                self._resumable = self._history()
                self._keep_history()
                if self._batch_is_due():
                    with self._stop_signals:
                        self._step()
            self._save_last_checkpoint()
        except KeyboardInterrupt:
            self._save_last_checkpoint()
            raise
        finally:
            self._background.close()
            self._reader.close()
            self._claim.close()
            self._writer.close()
            self._loggers.close()

    def _start_lineage(self) -> None:
        """Claims the run, takes over what earlier lineages saved, and announces the version."""
        self._writer.send(Topic.GROUPS_CLOSED, [self._claimed])
        self._claim.require_newest()
        self._writer.set_aside(self._claim.unreadable)
        saved_states.save_history(self._own, self._taken_over)
        saved_states.remove_others(self._states, self._own)
        self._publisher.remove_unfinished(self._position.lineage)
        self._announce()
        mark_ready()

    def _read(self) -> None:
        if self._source.is_replay:
            self._fill_batch()  # before reading more, since reading ahead in a finished log would fill the memory
            if self._batch_is_due():
                return
        broken, count = read_available(self._reader, self._assembler, _POLL_SECONDS)
        orphans = self._orphans.orphans(self._assembler.book, time.monotonic(), self._has_read_all)
        broken += self._assembler.drop_orphans(orphans)
        if broken:
            self._background.submit(partial(self._writer.write_dead_letters, broken))
        self._background.check()
        if count:
            self._progress_at = time.monotonic()
        now = self._assembler.clock.now()
        at_end = self._at_end = self._source.is_replay and not count and self._has_read_all()
        if at_end:
            now = math.inf  # a group that is incomplete at the end of the log stays incomplete
            self._assembler.close_missing()
        caught_up = at_end or (self._assembler.has_overdue_groups(now) and self._has_read_all())
        self._close_unused(list(self._assembler.endings(self._position.version, now, caught_up=caught_up)))
        self._fill_batch()
        self._ended = at_end and not self._assembler.book.open

    def _has_read_all(self) -> bool:
        return not any(self._reader.lag().values())

    def _fill_batch(self) -> None:
        """Takes ready groups until the batch is full or no more are ready."""
        room = self._settings.selector.admission.groups_per_step - len(self._assembler.taken)
        self._close_unused(list(self._assembler.take(room)))

    def _close_unused(self, ended: Sequence[tuple[OpenGroup, GroupEnding]]) -> None:
        """Closes groups that end without being trained on."""
        self._close([(group, ending.outcome, ending.reason, None) for group, ending in ended])

    def _batch_is_due(self) -> bool:
        """Whether the batch is full, or nothing in flight could complete it."""
        taken = len(self._assembler.taken)
        if taken >= self._settings.selector.admission.groups_per_step:
            return True
        if not taken or self._assembler.has_untaken_groups:
            return False
        if self._source.is_replay:  # the clock must not decide which groups make a batch
            return self._at_end
        return time.monotonic() - self._progress_at > self._settings.learner.batch_wait_seconds

    def _step(self) -> None:
        groups = [member.group for member in self._assembler.taken]
        with traced_step(groups, self._position.version + 1, self._position.lineage) as trace:
            self._train(trace)

    def _train(self, trace: StepTrace) -> None:
        started = time.monotonic()
        taken = self._assembler.taken
        staleness = [member.group.staleness(self._position.version) for member in taken]
        # In a replay the tokens come from another run's policy, so no version number names weights of this history.
        now = (self._position.lineage, self._position.version)
        known_weights = frozenset(() if self._source.is_replay else (now, self._restored))
        groups = [with_one_prompt(member.trajectories) for member in taken]
        batch = self._coordinator.begin_step(groups, known_weights, self._position.version)
        report = self._ppo.step(batch, self._position.version, self._settings.run.seed)
        self._save_skipped(batch, taken, report)
        self._position.version += 1
        trained = time.monotonic()
        report.seconds |= self._background.pop_timings()
        self._announce(unchanged=report.value_only)
        report.seconds["publish"] = time.monotonic() - trained
        self._close(endings_of_step(taken, staleness, report), trace.traceparent)
        self._assembler.taken = []
        self._resumable = self._history()
        if self._position.version % self._settings.learner.checkpoint_every == 0:
            clock = time.monotonic()
            self._save_checkpoint(self._resumable)
            report.seconds["checkpoint"] = time.monotonic() - clock
        report.seconds["total"] = time.monotonic() - started
        self._progress_at = time.monotonic()
        line = record_step(
            self._folder / STEPS_FILE,
            lineage=self._position.lineage,
            version=self._position.version,
            batch=batch,
            report=report,
            staleness=staleness,
            shaping=shaping_of(self._settings.learner.overlong),
        )
        self._loggers.log(scalars_of_step(line), self._position.version)
        log.info(
            "version=%d targets=%d seconds=%.2f loss=%.4f",
            self._position.version,
            report.targets,
            report.seconds["total"],
            report.policy_loss,
        )

    def _begin_update(self) -> None:
        """From the first update to the step's end the weights fit no history, so a stop waits for that end."""
        self._background.drain()
        self._stop_signals.defer()
        self._resumable = None

    def _save_skipped(self, batch: TrainingBatch, taken: Sequence[ReadyGroup], report: StepReport) -> None:
        """Saves the batches of skipped updates. Raises DivergedError after too many skips in a row.

        It is called before the step is announced, so a run that ends here resumes from its last checkpoint.
        """
        learner, seed = self._settings.learner, self._settings.run.seed
        names = [member.group.group_id for member in taken]
        skipped_updates.keep(
            self._folder, batch, report.skipped, names, learner, version=self._position.version, seed=seed
        )
        skipped_updates.require_sane(self._ppo.skips_in_a_row, self._folder, learner)

    def _announce(self, *, unchanged: bool = False) -> None:
        """Announces the version. If the policy is unchanged, so are the files of the announcement before."""
        if unchanged:
            self._background.submit(partial(self._announce_again, self._position.version))
            return
        self._coordinator.broadcast(GatherWeights())
        weights = self._publisher.gather_weights(self._ppo.policy)
        self._background.submit(partial(self._publish, weights, self._position.lineage, self._position.version))

    def _publish(self, weights: PublishedWeights, lineage: int, version: int) -> None:
        self._send_announcement(self._publisher.write(weights, lineage, version))

    def _announce_again(self, version: int) -> None:
        assert self._announced is not None, "a lineage begins with an announcement"
        again = msgspec.structs.replace(self._announced, version=version, step=version, announced_at=time.time())
        self._send_announcement(again)

    def _send_announcement(self, announcement: PolicyVersion) -> None:
        self._claim.require_newest()
        self._writer.send(Topic.POLICY_VERSIONS, [announcement])
        self._announced = announcement
        metrics.policy_version.set(announcement.version)

    def _close(self, ended: Sequence[tuple[OpenGroup, Outcome, str, int | None]], step: str | None = None) -> None:
        """`step`: traceparent of the step that the groups end with."""
        if not ended:
            return
        messages = [self._closing_of(*entry) for entry in ended]
        for message in messages:
            metrics.groups_closed_total.labels(message.outcome, reason_label(message)).inc()
        traces = [trace_closing(group, message, step) for (group, *_), message in zip(ended, messages, strict=True)]
        self._background.submit(partial(self._writer.send, Topic.GROUPS_CLOSED, messages, traces))
        for group, *_ in ended:
            self._assembler.close(group)
        self._coordinator.broadcast(DropGroups(tuple(group.seq for group, *_ in ended)))
        self._progress_at = time.monotonic()

    def _closing_of(self, group: OpenGroup, outcome: Outcome, reason: str, staleness: int | None) -> GroupClosed:
        closing = GroupClosed(
            run_id=self._settings.run.id,
            group_id=group.group_id,
            seq=group.seq,
            purpose=group.purpose,
            outcome=outcome,
            reason=reason,
            lineage=self._position.lineage,
            ordinal=self._position.ordinal,
            version=self._position.version,
            staleness=staleness,
            mean_score=group.mean_score,
            closed_at=time.time(),
        )
        self._position.ordinal += 1
        return closing

    def _history(self) -> LearnerHistory:
        return LearnerHistory(
            lineage=self._position.lineage,
            version=self._position.version,
            ordinal=self._position.ordinal,
            offsets=resume_offsets(self._reader, self._assembler),
            closed=self._assembler.book.closed.copy(),
        )

    def _keep_history(self) -> None:
        """Saves the history every few seconds, and notices a learner that took over."""
        if time.monotonic() < self._history_at:
            return
        self._history_at = time.monotonic() + _HISTORY_SECONDS
        self._save_history(self._history())

    def _save_history(self, history: LearnerHistory) -> None:
        """The history on disk must go with the weights on disk, so one of a later version waits for its checkpoint."""
        self._background.submit(self._claim.require_newest)
        if history.version == self._checkpointed:
            self._background.submit(partial(saved_states.save_history, self._own, history))

    def _save_last_checkpoint(self) -> None:
        """Saves the newest consistent state, with the weights if they are newer than the last checkpoint; returns when
        all is written.

        An interrupt may come between an action and its bookkeeping. `_resumable` is the history at the last moment when
        everything read and sent was recorded, or None before the first one.
        """
        if self._resumable is not None:
            if self._resumable.version > self._checkpointed:
                self._save_checkpoint(self._resumable)
            else:
                self._save_history(self._resumable)
        self._background.drain()

    def _save_checkpoint(self, history: LearnerHistory) -> None:
        processes, keep = self._coordinator.processes, self._settings.learner.keep_checkpoints
        temporary = checkpoint.make_room(self._own, history.version)
        self._coordinator.broadcast(SaveCheckpoint(temporary))
        begun = checkpoint.start(temporary, self._ppo, None if processes is None else processes.checkpoint_group)
        self._background.submit(self._claim.require_newest)
        self._background.submit(partial(checkpoint.finish, begun, history, self._publisher.template, keep))
        self._background.submit(partial(saved_states.remove_others, self._states, self._own))
        self._checkpointed = history.version
