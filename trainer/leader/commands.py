"""The commands that the leader of a learner broadcasts to its followers.

Invariant: the leader broadcasts each command just before it does the same itself.
"""

from dataclasses import dataclass
from pathlib import Path

from streams.messages import Segment
from streams.records import Record, TopicPartition
from trainer.step.batch import BatchOutline, WeightsId
from trainer.step.trajectory import Trajectory
from trainer.weights.history import LearnerHistory


@dataclass(frozen=True, slots=True)
class LoadCheckpoint:
    """Build the learner from this checkpoint, or from scratch if there is none, and read these topics from where the
    history says.

    It is the first command.
    """

    saved: Path | None
    history: LearnerHistory
    run_id: str
    topics: tuple[str, str]
    """The names of the topics `prompts` and `scored`."""


@dataclass(frozen=True, slots=True)
class PollPartitions:
    """Read your partitions, and reply with `PolledRecords`."""

    timeout: float
    """Longest wait for a record, in seconds."""


@dataclass(frozen=True, slots=True)
class PolledRecords:
    """What one process read: records without their heavy parts (`SegmentCache.strip`), and its next offsets."""

    records: list[Record]
    positions: dict[TopicPartition, int]


@dataclass(frozen=True, slots=True)
class ReportLag:
    """Reply with the number of records not yet read, by partition."""


@dataclass(frozen=True, slots=True)
class SendSegments:
    """Reply with the group's `SegmentsByIndex`, which is empty in every process that read none of its records."""

    seq: int


SegmentsByIndex = dict[int, tuple[Segment, ...]]
"""Segments of a group's rollouts, by sample index."""


@dataclass(frozen=True, slots=True)
class DropGroups:
    """Forget these groups, which are closed."""

    seqs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Train:
    """Take one step on this batch; a `BatchShare` follows for each process."""

    outline: BatchOutline
    version: int
    seed: int


@dataclass(frozen=True, slots=True)
class BatchShare:
    """The rows that one process computes, as trajectories: packed rows take four times the bytes."""

    numbers: list[int]
    """Numbers of its rows in the outline."""
    trajectories: dict[int, Trajectory]
    """Those of its rows, by index. Members of a group share one array for their prompt, so it is sent once."""
    known_weights: frozenset[WeightsId]


@dataclass(frozen=True, slots=True)
class GatherWeights:
    """Join the collectives that gather the weights for publication."""


@dataclass(frozen=True, slots=True)
class SaveCheckpoint:
    """Begin to write your parts of a checkpoint."""

    temporary: Path
    """The folder that the leader made for it."""


@dataclass(frozen=True, slots=True)
class Shutdown:
    """End: the run is over or interrupted."""


Command = (
    LoadCheckpoint
    | PollPartitions
    | ReportLag
    | SendSegments
    | DropGroups
    | Train
    | GatherWeights
    | SaveCheckpoint
    | Shutdown
)
