"""What the leader tells the others of its team to do, in the order in which it does the same itself."""

from dataclasses import dataclass
from pathlib import Path

from streams.messages import Segment
from streams.records import Record, TopicPartition
from trainer.step.batch import TrainingBatch


@dataclass(frozen=True, slots=True)
class Start:
    """Build the learner from this checkpoint, or anew, and read these topics. The first order."""

    saved: Path | None
    run_id: str
    topics: tuple[str, str]
    """Prompts and scored."""


@dataclass(frozen=True, slots=True)
class Poll:
    """Read your partitions; answered with `Share`."""

    timeout: float


@dataclass(frozen=True, slots=True)
class Share:
    """Of one process: records as `trainer.leader.segment_cache` lightens them, and where it stands."""

    records: list[Record]
    positions: dict[TopicPartition, int]


@dataclass(frozen=True, slots=True)
class Lag:
    """Answered with the records not yet read, by partition."""


@dataclass(frozen=True, slots=True)
class Fetch:
    """Answered with the group's `HeldSegments` by whoever read them, by the others with none."""

    seq: int


HeldSegments = dict[int, tuple[Segment, ...]]
"""By sample index."""


@dataclass(frozen=True, slots=True)
class Forget:
    """These groups are closed."""

    seqs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Train:
    batch: TrainingBatch
    version: int
    seed: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The weights are gathered for publication."""


@dataclass(frozen=True, slots=True)
class Collect:
    """The state is gathered for a checkpoint."""


@dataclass(frozen=True, slots=True)
class Stop:
    """The run is over, or interrupted."""


Order = Start | Poll | Lag | Fetch | Forget | Train | Snapshot | Collect | Stop
