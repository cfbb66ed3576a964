"""Reads steps.jsonl as it grows.

Invariant: each complete line is parsed once; memory holds one point of a few numbers per step.
"""

import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra.files.run_files import STEPS_FILE
from infra.page.models.trend import StepPoint, add_surviving, point_of


class StepsFile:
    """Safe to use from several threads."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / STEPS_FILE
        self._lock = threading.Lock()
        self._offset = 0
        self._steps: list[StepPoint] = []
        self._places: dict[int, int] = {}
        """Version -> offset of its line."""

    def steps(self) -> list[StepPoint]:
        """The steps of the surviving history, oldest first; none if there is no file."""
        with self._lock:
            self._read_on()
            return list(self._steps)

    def line(self, version: int) -> Mapping[str, Any] | None:
        """The whole line of a step; None if there is none."""
        with self._lock:
            self._read_on()
            place = self._places.get(version)
        if place is None:
            return None
        with self._path.open("rb") as file:
            file.seek(place)
            found: dict[str, Any] = json.loads(file.readline())
        return found

    def _read_on(self) -> None:
        if not self._path.is_file():
            return
        with self._path.open("rb") as file:
            file.seek(self._offset)
            for line in file:
                if not line.endswith(b"\n"):
                    return  # it is being written
                point = point_of(json.loads(line))
                add_surviving(self._steps, point)
                self._places[point.version] = self._offset
                self._offset += len(line)
