"""The services of a run as threads of one process, by the same classes that their processes run.

Seven Python processes with torch take half a minute of CPU to start, which is as long as a laboratory run. What differs
from the processes: the stages' handlers are fed by a plain loop instead of Faust, which commits no offsets, because a
run that fails is not resumed but made again. Topics, messages, database, and every decision are the same.

Invariants
- `run_services` returns or raises only after every thread has ended, except one that hangs in a dead broker.
- Models are loaded one after another: transformers sets global state while it loads one, and two that load at the same
  time leave weights uninitialised.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from infra.lab.stages import serve_stages
from infra.settings.learner import LearnerSettings
from infra.settings.tree import Settings
from streams.clients import Reader
from streams.records import Record, TopicPartition
from trainer.curriculum import selector
from trainer.leader.coordinator import SingleProcess
from trainer.learner import Learner
from workers.rollout.worker import RolloutWorker, open_worker

_WATCH_SECONDS = 0.05
"""A failed service ends the run within this time."""
_END_SECONDS = 30.0
"""Longest wait for a thread to end: a step of the learner and its last checkpoint."""


class ServiceFailedError(RuntimeError):
    """A service of a laboratory run ended with an error, which is its cause."""


@dataclass(slots=True)
class ServiceThread:
    name: str
    work: Callable[[], None]
    failure: BaseException | None = None
    _thread: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def start(self) -> None:
        self._thread.start()

    def join(self) -> None:
        self._thread.join(_END_SECONDS)

    def _run(self) -> None:
        try:
            self.work()
        except KeyboardInterrupt:  # how a learner is told to stop
            return
        except BaseException as error:  # noqa: BLE001 (handed to the run, which raises it)
            self.failure = error


def run_services(settings: Settings, bootstrap: str) -> None:
    """Runs the services until the selector has finished the run. Raises ServiceFailedError, and whatever loading a
    model or reaching broker and database raises.
    """
    stop, served = threading.Event(), threading.Event()
    stages = ServiceThread("stages", lambda: serve_stages(settings, bootstrap, stop, served))
    threads = [stages]
    try:
        stages.start()
        while stages.alive and not served.wait(_WATCH_SECONDS):
            pass
        learner = Learner(settings, bootstrap, StoppableProcess(settings.learner, stop))
        with open_worker(settings, bootstrap) as worker:
            threads += [
                ServiceThread("learner", learner.run),
                ServiceThread("rollout", lambda: _generate(worker, stop)),
                ServiceThread("selector", lambda: selector.main(settings, bootstrap, stopped=stop.is_set)),
            ]
            try:
                for thread in threads[1:]:
                    thread.start()
                while all(thread.alive for thread in threads):
                    time.sleep(_WATCH_SECONDS)
            finally:
                stop.set()
                for thread in threads[1:]:
                    thread.join()
    finally:
        stop.set()
        stages.join()
    for thread in threads:
        if thread.failure is not None:
            raise ServiceFailedError(f"run {settings.run.id}: {thread.name} failed: {thread.failure!r}") from (
                thread.failure
            )
        if thread.alive:
            raise ServiceFailedError(f"run {settings.run.id}: {thread.name} did not end in {_END_SECONDS:.0f} s")


def _generate(worker: RolloutWorker, stop: threading.Event) -> None:
    while not stop.is_set():
        worker.turn()


class StoppableProcess(SingleProcess):
    """The coordinator of a learner in a thread: an event interrupts it, between two polls and never in a step."""

    def __init__(self, settings: LearnerSettings, stop: threading.Event) -> None:
        super().__init__(settings)
        self._stop = stop

    def open_reader(
        self, settings: Settings, bootstrap: str, topics: tuple[str, str], start: Mapping[TopicPartition, int]
    ) -> Reader:
        return _StoppableReader(super().open_reader(settings, bootstrap, topics, start), self._stop)


@dataclass(frozen=True, slots=True)
class _StoppableReader:
    reader: Reader
    stop: threading.Event

    def poll(self, timeout: float) -> list[Record]:
        if self.stop.is_set():
            raise KeyboardInterrupt
        return self.reader.poll(timeout)

    def positions(self) -> Mapping[TopicPartition, int]:
        return self.reader.positions()

    def lag(self) -> Mapping[TopicPartition, int]:
        return self.reader.lag()

    def close(self) -> None:
        self.reader.close()
