"""Services that are killed or that hang."""

import contextlib
import os
import signal

import psutil
from faults.matrix.kinds.base import SHORT, FaultKind
from faults.matrix.run import DOMAINS, MatrixRun

SERVICES = ("router", "rtv", "genrm", "difficulty", "crosscheck", "selector", "rollout", "learner")
_DOMAIN_OF = {service: domain for domain, service in DOMAINS.items()}
_REST_SECONDS = 75.0


def send(pid: int | None, number: signal.Signals) -> None:
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


class Kill(FaultKind):
    rests = _REST_SECONDS
    service: str

    def inject(self, run: MatrixRun) -> None:
        send(run.pid(self.service), signal.SIGKILL)


class Hang(FaultKind):
    lasts = SHORT
    service: str

    def inject(self, run: MatrixRun) -> None:
        self.process: psutil.Process | None = None
        if (pid := run.pid(self.service)) is not None:
            self.process = psutil.Process(pid)
            self.process.suspend()

    def heal(self, run: MatrixRun) -> None:
        if self.process is not None:
            with contextlib.suppress(psutil.NoSuchProcess):
                self.process.resume()


def _of(base: type[FaultKind], service: str, word: str, what: str) -> type[FaultKind]:
    values = {"service": service, "name": f"{word}-{service}", "what": what.format(service), "target": service}
    return type(f"{word}{service}", (base,), {**values, "domain": _DOMAIN_OF.get(service)})


KINDS = [
    *(_of(Kill, service, "kill", "SIGKILL of the {}") for service in SERVICES),
    *(_of(Hang, service, "stop", "SIGSTOP of the {}, then SIGCONT") for service in SERVICES),
]
