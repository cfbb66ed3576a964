"""Event files for TensorBoard, written by tensorboardX: no TensorFlow, no server.

Written through its synchronous writer: the usual one hands events to a thread of its own, which a full disk ends in
silence.
"""

import os
import time
from collections.abc import Mapping
from pathlib import Path

from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.summary import scalar


class TensorBoardLogger:
    def __init__(self, folder: Path, first_version: int | None = None) -> None:
        """A file of its own under `folder`. `first_version`: what earlier files hold from there on is forgotten, as a
        learner that resumes makes these versions anew. Raises OSError.
        """
        folder.mkdir(parents=True, exist_ok=True)
        suffix = f".{os.getpid()}.{time.time_ns()}"  # its own name holds whole seconds, and it overwrites
        self._writer = EventsWriter(str(folder / "events"), suffix)
        if first_version is not None:
            start = SessionLog(status=SessionLog.START)
            self._writer.write_event(Event(wall_time=time.time(), step=first_version, session_log=start))

    def log(self, scalars: Mapping[str, float], version: int) -> None:
        now = time.time()
        for name, value in scalars.items():
            self._writer.write_event(Event(wall_time=now, step=version, summary=scalar(name, value)))
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()
