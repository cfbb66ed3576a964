"""Event files for TensorBoard, written by tensorboardX without TensorFlow or a server.

They are written through its synchronous writer: the usual one hands events to a thread, which ends without a word if
the disk is full.
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
        """Opens a new file under `folder`. Raises OSError.

        A learner that resumes passes `first_version`; TensorBoard then ignores what earlier files have from that
        version on.
        """
        folder.mkdir(parents=True, exist_ok=True)
        suffix = f".{os.getpid()}.{time.time_ns()}"  # the default name has whole seconds, and overwrites a file
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
