"""All loggers of a process behind one object, none of which can stop the run.

Invariants
- `log` returns at once and `close` within `_CLOSE_SECONDS`, and neither raises: each logger works in its own thread,
  with a bounded queue.
- If a logger fails, the process's log says so once, with what to do, and each failure is counted; the other loggers go
  on.
"""

import logging
import queue
import threading
from collections.abc import Callable, Mapping

from infra.metrics import metrics
from infra.settings.learner import LoggerKind
from infra.settings.load import without_secrets
from infra.settings.tree import Settings
from trainer.runlog.base import ScalarLogger

log = logging.getLogger(__name__)

_QUEUE = 256
"""Most steps that wait for a slow logger: minutes of training, and a few hundred KiB."""
_CLOSE_SECONDS = 2.0
"""Longest wait for all loggers together. Local files need milliseconds, and a process that must stop has ten seconds
for everything."""

Make = Callable[[], ScalarLogger]
Item = tuple[Mapping[str, float], int]


class Loggers:
    """Opens each logger in its thread, so a logger whose server does not answer delays nobody."""

    def __init__(self, makers: Mapping[str, Make]) -> None:
        self._threads = [_Thread(name, make) for name, make in makers.items()]

    def log(self, scalars: Mapping[str, float], version: int) -> None:
        for thread in self._threads:
            thread.put((scalars, version))

    def close(self) -> None:
        for thread in self._threads:
            thread.end()
        for thread in self._threads:
            thread.wait(_CLOSE_SECONDS / len(self._threads))


class _Thread:
    def __init__(self, name: str, make: Make) -> None:
        self._name = name
        self._make = make
        self._items: queue.Queue[Item | None] = queue.Queue(_QUEUE)
        self._has_warned = False
        self._thread = threading.Thread(target=self._run, name=f"logger-{name}", daemon=True)
        self._thread.start()

    def put(self, item: Item | None) -> None:
        try:
            self._items.put_nowait(item)
        except queue.Full:
            self._failed(f"it is {_QUEUE} steps behind; newer steps are dropped until it catches up")

    def end(self) -> None:
        self.put(None)

    def wait(self, seconds: float) -> None:
        self._thread.join(seconds)
        if self._thread.is_alive():
            self._failed(f"it did not end within {seconds:.0f} s; its last steps may be missing")

    def _run(self) -> None:
        logger: ScalarLogger | None = None
        while (item := self._items.get()) is not None:
            try:
                logger = logger or self._make()
                logger.log(*item)
            except Exception as error:  # noqa: BLE001 (training goes on after any error)
                self._failed(_describe_error(error))
        try:
            if logger is not None:
                logger.close()
        except Exception as error:  # noqa: BLE001 (as above)
            self._failed(_describe_error(error))

    def _failed(self, why: str) -> None:
        metrics.logger_failures_total.labels(self._name).inc()
        if not self._has_warned:
            self._has_warned = True
            log.error("logger %s: %s. Training goes on; further failures are counted but not logged", self._name, why)


def _describe_error(error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError):
        return f"{error}: install it, as with pip install 'rewardstream[loggers]', or take it out of learner.loggers"
    return f"{type(error).__name__}: {error}"


def open_loggers(settings: Settings, writer: str, first_version: int | None = None) -> Loggers:
    """The loggers that `learner.loggers` names, for the process `writer`.

    A learner that resumes passes `first_version`, from which on its scalars replace earlier ones.
    """
    return Loggers({kind: _maker(kind, settings, writer, first_version) for kind in settings.learner.loggers})


def _maker(kind: LoggerKind, settings: Settings, writer: str, first_version: int | None) -> Make:
    folder = settings.run.folder / settings.run.id / kind

    def make() -> ScalarLogger:
        if kind == "tensorboard":
            from trainer.runlog.tensorboard import TensorBoardLogger

            return TensorBoardLogger(folder / writer, first_version)
        from trainer.runlog.wandb import WandbLogger

        return WandbLogger(folder, settings.run.id, writer, without_secrets(settings))

    return make
