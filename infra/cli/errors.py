"""Exit codes, and the errors that a user can act on.

Invariant: an error that a user can act on ends in one message without a traceback and has its own exit code. Any other
error is a defect and keeps its traceback.
"""

import errno
from enum import IntEnum

from infra import outages, refusals


class ExitCode(IntEnum):
    OK = 0
    FAILED = 1
    """The command ran and the answer is no: a failed run, an audit with violations."""
    USAGE = 2
    """Wrong options or settings."""
    UNREACHABLE = 3
    """A broker, database, model, file or port that is needed is not available."""
    NO_VERDICT = 4
    """`score` gave every line a verdict, and at least one is infra_error: its scorer could not judge it."""
    REFUSED = 5
    """`prompts check` or `ingest` took some rows of the datasets and refused others."""
    DIVERGED = 65
    """EX_DATAERR of sysexits.h: gradients were not finite, several times in a row."""
    DISK_FULL = 74
    """EX_IOERR of sysexits.h."""
    AWAY = outages.EXIT_CODE
    """A service ended because a broker, database or judge is away that may come back: EX_TEMPFAIL of sysexits.h."""
    FENCED = 76
    """EX_PROTOCOL of sysexits.h: another learner took the run over. Started again, this one would take it back."""
    INTERRUPTED = 130


class CommandError(Exception):
    """An expected failure; the text says what was wrong, where, and what to do."""

    def __init__(self, text: str, code: ExitCode = ExitCode.FAILED) -> None:
        super().__init__(text)
        self.code = code


_EXPECTED = {
    "infra.settings.sources.InvalidSettingsError": ExitCode.USAGE,
    "infra.db.engine.DatabaseUrlError": ExitCode.USAGE,
    "streams.admin.TopicMismatchError": ExitCode.USAGE,
    "infra.local.disk.DiskFullError": ExitCode.DISK_FULL,
    "workers.verifiers.registry.UnknownVerifierError": ExitCode.USAGE,
    "workers.judges.rubrics.RubricError": ExitCode.USAGE,
    "workers.scoring.open_scorer.ScorerNotInstalledError": ExitCode.USAGE,
    "trainer.prompts.dataset_errors.DatasetError": ExitCode.USAGE,
    "infra.capacity.hardware.AssumptionError": ExitCode.USAGE,
    "infra.capacity.model_shape.ModelConfigError": ExitCode.USAGE,
    "infra.evaluation.run.EvaluationError": ExitCode.USAGE,
    "infra.evaluation.own_stack.ServicesEndedError": ExitCode.FAILED,
    "trainer.curriculum.schedule.NoPromptsError": ExitCode.USAGE,
    "trainer.curriculum.selector_lock.AnotherSelectorError": ExitCode.UNREACHABLE,
    "trainer.supervised.sft.ExamplesError": ExitCode.USAGE,
    "workers.judges.reward_model.RewardModelError": ExitCode.USAGE,
    "trainer.reward_models.bradley_terry.NoPairsError": ExitCode.USAGE,
    "trainer.reward_models.judge_training.NoTriplesError": ExitCode.USAGE,
    "trainer.weights.checkpoint.CheckpointError": ExitCode.USAGE,
    "trainer.weights.history.HistoryError": ExitCode.USAGE,
    "trainer.distributed.device.DeviceError": ExitCode.USAGE,
    "trainer.weights.value_init.ValueInitError": ExitCode.USAGE,
    "trainer.weights.lora.LoraError": ExitCode.USAGE,
    "trainer.weights.build_models.ShardingError": ExitCode.USAGE,
    "trainer.weights.build_models.ReferenceModelError": ExitCode.USAGE,
    "trainer.fencing.claim.FencedError": ExitCode.FENCED,
    "trainer.runlog.skipped_updates.DivergedError": ExitCode.DIVERGED,
    "infra.local.processes.LocalStackError": ExitCode.UNREACHABLE,
    "infra.db.engine.DatabaseUnavailableError": ExitCode.UNREACHABLE,
    "streams.clients.connect.BrokerUnavailableError": ExitCode.UNREACHABLE,
    "streams.clients.producing.DeliveryError": ExitCode.UNREACHABLE,
    "streams.clients.reading.OffsetsLostError": ExitCode.UNREACHABLE,
    "trainer.distributed.process_group.LeaderGoneError": ExitCode.UNREACHABLE,
    "workers.models.remote_files.RemoteFilesError": ExitCode.UNREACHABLE,
    "trainer.groups.replay.ReplayError": ExitCode.UNREACHABLE,
    "workers.models.model_files.ModelFilesError": ExitCode.UNREACHABLE,
    "workers.models.packed_model.ModelMismatchError": ExitCode.USAGE,
    "workers.models.packed_attention.UnknownAttentionError": ExitCode.USAGE,
    "workers.engines.base.EngineRefusesError": ExitCode.USAGE,
    "trainer.curriculum.rules.registry.SelectionRuleError": ExitCode.USAGE,
    "workers.judges.base.JudgeUnavailableError": ExitCode.UNREACHABLE,
}
"""Errors by qualified name, because naming them must not import the modules of all parts."""

_NO_SUCH_PLACE = (errno.ENOENT, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR)
"""Errors of a path that cannot be read or written; their text names the path."""
_DISK_FULL_TEXTS = ("No space left on device", "DiskFull")


def explain(error: BaseException) -> tuple[ExitCode, str] | None:
    """Exit code and message; None for a defect. A full disk is recognised in the whole chain of causes."""
    if isinstance(error, CommandError):
        return error.code, str(error)
    if (refused := refusals.explain(error)) is not None:
        return ExitCode.USAGE, refused
    code = _expected_code(error)
    if code is ExitCode.DISK_FULL:
        return code, str(error)
    if any(_is_disk_full(cause) for cause in outages.causes(error)):
        return ExitCode.DISK_FULL, f"the disk is full: {error}. Free space there, or set run.folder to another disk"
    return None if code is None else (code, str(error))


def _expected_code(error: BaseException) -> ExitCode | None:
    if isinstance(error, OSError) and error.filename is not None and error.errno in _NO_SUCH_PLACE:
        return ExitCode.UNREACHABLE
    names = (f"{kind.__module__}.{kind.__qualname__}" for kind in type(error).__mro__)
    return next((_EXPECTED[name] for name in names if name in _EXPECTED), None)


def _is_disk_full(error: BaseException) -> bool:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    return any(text in str(error) for text in _DISK_FULL_TEXTS)
