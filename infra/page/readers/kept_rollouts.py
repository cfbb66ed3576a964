"""Rollouts whose log ends with the run: the embedded broker's. They are kept in the run's folder for its page.

Invariant: the file holds whole records as they were in the log, each with its length before it; one that was cut off at
any byte reads up to its last whole record.
"""

import struct
import threading
from collections import deque
from pathlib import Path

from infra.files.replace import replace_file
from infra.settings.tree import Settings
from streams.clients import LogReader
from streams.codec import DecodeError, decode
from streams.messages import Rollout, ScoredTrajectory
from streams.topics import Topic, topic_name

KEPT_FILE = "kept-rollouts.bin"
KEPT_BYTES = 64 * 2**20
"""The newest rollouts up to this size are kept: all of a demo, which takes 4 MiB, and 10,000 of 1,000 tokens."""
_LENGTH = struct.Struct("<I")


def keep_rollouts(settings: Settings, bootstrap: str, folder: Path, most: int = KEPT_BYTES) -> int:
    """Copies the newest scored rollouts from the log into the run's folder; returns their number. Raises
    BrokerUnavailableError, OSError.
    """
    kept: deque[bytes] = deque()
    size = 0
    name = topic_name(settings.topics.prefix, Topic.SCORED)
    with LogReader(settings.broker, bootstrap, [name]) as reader:
        for record in reader.read_to_end():
            kept.append(record.value or b"")
            size += _LENGTH.size + len(kept[-1])
            while size > most:
                size -= _LENGTH.size + len(kept.popleft())
    replace_file(folder / KEPT_FILE, b"".join(_LENGTH.pack(len(value)) + value for value in kept))
    return len(kept)


class KeptRollouts:
    """Memory holds a place per rollout. Safe to use from several threads."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / KEPT_FILE
        self._lock = threading.Lock()
        self._places: dict[str, tuple[int, int]] | None = None

    def find(self, rollout_id: str) -> Rollout | None:
        with self._lock:
            if self._places is None:
                self._places = self._index()
            place = self._places.get(rollout_id)
        if place is None:
            return None
        with self._path.open("rb") as file:
            file.seek(place[0])
            return _decoded(file.read(place[1]))

    def _index(self) -> dict[str, tuple[int, int]]:
        places: dict[str, tuple[int, int]] = {}
        if not self._path.is_file():
            return places
        with self._path.open("rb") as file:
            while len(head := file.read(_LENGTH.size)) == _LENGTH.size:
                (length,) = _LENGTH.unpack(head)
                place = file.tell(), length
                value = file.read(length)
                if len(value) == length and (rollout := _decoded(value)) is not None:
                    places.setdefault(rollout.rollout_id, place)
        return places


def _decoded(value: bytes) -> Rollout | None:
    try:
        return decode(value, ScoredTrajectory).rollout
    except DecodeError:
        return None  # it is with the dead letters
