"""All kinds, by name."""

from faults.matrix.kinds import clocks, disks, foundations, judge, logs, messages, processes, second, whole
from faults.matrix.kinds.base import FaultKind

_ROOMS = (processes, second, foundations, judge, disks, messages, clocks, logs, whole)
KINDS: dict[str, type[FaultKind]] = {kind.name: kind for room in _ROOMS for kind in room.KINDS}
