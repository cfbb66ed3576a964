"""A verifier that does to its process what its prompt says."""

import math
import os
import re
import signal
import stat
import time
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from streams.messages import Question, Status
from workers.verifiers.base import Verdict


class HostileVerifier:
    name = "hostile"
    version = "1"
    policy = "Does what the prompt says."
    options: ClassVar[dict[str, str]] = {}

    def verify(self, question: Question, response: str) -> Verdict:
        match question.prompt:
            case "hang" | "work":
                end = time.process_time() + question.options.get("seconds", math.inf)
                while time.process_time() < end:
                    pass
            case "hang in C":
                re.match(r"(a+)+$", "a" * 64 + "b")
            case "fill memory":
                bytearray(2**33)
            case "SIGKILL" | "SIGSEGV" as name:
                os.kill(os.getpid(), signal.Signals[name])
            case "SIGKILL once" if not Path(question.options["mark"]).exists():
                Path(question.options["mark"]).touch()
                os.kill(os.getpid(), signal.SIGKILL)
            case "raise":
                raise ValueError("on purpose")
            case "nonsense":
                scribble_on_sockets()
        return Verdict(1.0, Status.CORRECT, "did nothing", self.name, self.version)


def scribble_on_sockets() -> None:
    for path in list(Path("/proc/self/fd").iterdir()):
        if path.exists() and stat.S_ISSOCK(path.stat().st_mode):
            with suppress(OSError):  # one that is not connected
                os.write(int(path.name), b"\xff" * 64)
