"""What the leader tells the others of its team to do, in the order in which it does the same itself."""

from dataclasses import dataclass
from pathlib import Path

from streams.messages import Segment
from streams.records import Record, TopicPartition
from trainer.step.batch import TrainingBatch


@dataclass(frozen=True, slots=True)
class LoadCheckpoint:
    """Build the learner from this checkpoint, or anew, and read these topics. The first order."""

    saved: Path | None
    run_id: str
    topics: tuple[str, str]
    """Prompts and scored."""


@dataclass(frozen=True, slots=True)
class PollPartitions:
    """Read your partitions; answered with `PolledRecords`."""

    timeout: float


@dataclass(frozen=True, slots=True)
class PolledRecords:
    """Of one process: records as `trainer.leader.segment_cache` lightens them, and where it stands."""

    records: list[Record]
    positions: dict[TopicPartition, int]


@dataclass(frozen=True, slots=True)
class ReportLag:
    """Answered with the records not yet read, by partition."""


@dataclass(frozen=True, slots=True)
class SendSegments:
    """Answered with the group's `SegmentsByIndex` by whoever read them, by the others with none."""

    seq: int


SegmentsByIndex = dict[int, tuple[Segment, ...]]
"""By sample index."""


@dataclass(frozen=True, slots=True)
class DropGroups:
    """These groups are closed."""

    seqs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Train:
    batch: TrainingBatch
    version: int
    seed: int


@dataclass(frozen=True, slots=True)
class GatherWeights:
    """The weights are gathered for publication."""


@dataclass(frozen=True, slots=True)
class GatherCheckpoint:
    """The state is gathered for a checkpoint."""


@dataclass(frozen=True, slots=True)
class Shutdown:
    """The run is over, or interrupted."""


Command = (
    LoadCheckpoint
    | PollPartitions
    | ReportLag
    | SendSegments
    | DropGroups
    | Train
    | GatherWeights
    | GatherCheckpoint
    | Shutdown
)
