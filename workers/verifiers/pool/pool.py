"""The killable pool: verdicts from processes that are killed and replaced when they hang, die or fill up.

Invariant: `verify` returns a verdict in bounded time, whatever the response does to the process that judges it, and
every process has at most one job at a time. The pool uses neither threads nor signal handlers, so it works in any
event loop, even outside the main thread. It belongs to the loop that first uses it.
"""

import asyncio
import logging
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Protocol

from infra.metrics import metrics
from infra.settings.tree import RtvSettings
from streams.messages import Question, Status
from workers.sandbox.factory import sweep
from workers.verifiers.base import Verdict
from workers.verifiers.pool.child import Child, DiedError, NotStartedError, ending
from workers.verifiers.pool.isolation import announce
from workers.verifiers.pool.wire import Job, Ready, frame

log = logging.getLogger(__name__)

DEATHS = 2
"""Processes that may die of one job. A single death says nothing about the job, since anybody may have killed the
process, so the job gets a second one; two deaths are a verdict."""
STARVED = 10.0
"""Most time limits that are added for a process that waits for the CPU. With 5 s they are 50 s, after which a verdict
is not worth waiting for."""
_EARLY = 0.05
"""Share of the limit after which the time without the CPU is counted: most verdicts have come, and cost no count."""
_GRAIN_SECONDS = 0.01
"""Extensions that are shorter are not worth a wait."""
_RENEW_SECONDS = 0.05
"""Seconds between two searches for an idle old process, while old ones are busy; a verdict takes milliseconds."""


class Pool(Protocol):
    """The interface through which scorers ask for verdicts; `VerifierPool` implements it."""

    async def verify(self, question: Question, response: str) -> Verdict: ...


class VerifierPool:
    """Runs `settings.workers` processes; callers beyond that wait for an idle one, in order. Each process starts with
    its first job. `on_verdict` is called after each verdict.
    """

    def __init__(self, settings: RtvSettings, on_verdict: Callable[[], None] = lambda: None) -> None:
        self._settings = settings
        self._on_verdict = on_verdict
        self._slots: asyncio.Queue[Child | None] = asyncio.Queue()
        for _ in range(settings.workers):
            self._slots.put_nowait(None)
        self._children: set[Child] = set()
        self._ready = Ready({})
        self._closed = False

    async def start(self) -> None:
        """Starts every process now rather than at its first job. Raises NotStartedError."""
        for slot in [await self._slots.get() for _ in range(self._settings.workers)]:
            self._slots.put_nowait(slot or await self._spawn())

    async def verify(self, question: Question, response: str) -> Verdict:
        """Returns the verdict of `question.verifier`; failures are statuses. Raises ValueError if none is named."""
        if question.verifier is None:
            raise ValueError("the question names no verifier; it belongs to GenRM")
        verdict = await self._verify(question.verifier, question, response)
        self._on_verdict()
        return verdict

    async def _verify(self, name: str, question: Question, response: str) -> Verdict:
        try:
            data = frame(Job(name, question, response))
        except ValueError as error:
            return Verdict(0.0, Status.UNPARSEABLE, str(error), name, "")
        watch = _Stopwatch()
        try:
            return await self._judge(name, data, watch)
        except TimeoutError:
            metrics.verifier_kills_total.labels("timeout").inc()
            score, status, why = 0.0, Status.TIMEOUT, f"no verdict within the time limit of {self._budget(name)} s"
        except NotStartedError as error:
            score, status, why = None, Status.INFRA_ERROR, str(error)
        except DiedError as error:
            killed = error.code == -signal.SIGKILL
            score, status = (0.0, Status.OOM) if killed else (None, Status.INFRA_ERROR)
            limit = ", as the kernel does when memory runs out" if killed else ""
            why = f"{DEATHS} verifier processes died of it: {ending(error.code)}{limit}"
        log.warning("verifier %s: %s: %s", name, status, why)
        return Verdict(score, status, why, name, self._ready.versions.get(name, ""), watch.seconds)

    async def close(self) -> None:
        """Kills every process; jobs in flight end as infra_error."""
        self._closed = True
        sandboxed = any(child.ready.sandboxed for child in self._children)
        for child in tuple(self._children):
            await self._end(child)
        if sandboxed:  # a successor removes what a killed process leaves; the last process has none
            await asyncio.to_thread(sweep)

    async def renew(self) -> None:
        """Replaces the processes one by one, as they become idle, so that they use the verifiers, versions and plug-ins
        that are installed now. Raises NotStartedError; processes that are not yet replaced then stay.
        """
        old = set(self._children)
        while old := old & self._children:
            child = await self._slots.get()
            keep = child
            try:
                if child in old:
                    keep = await self._spawn()
                    await self._end(child)
            finally:
                self._slots.put_nowait(keep)
            if keep is child:
                await asyncio.sleep(_RENEW_SECONDS)

    def _budget(self, name: str) -> float:
        """Returns the time limit of a verdict, in seconds; it is known once a process has started."""
        sandboxed = name in self._ready.sandboxed
        return self._settings.sandbox.budget_seconds if sandboxed else self._settings.timeout_seconds

    async def _judge(self, name: str, data: bytes, watch: "_Stopwatch") -> Verdict:
        """Asks for the verdict, again if the process dies. Raises TimeoutError, NotStartedError, DiedError."""
        for _ in range(DEATHS - 1):
            try:
                return await self._ask(name, data, watch)
            except DiedError as error:
                log.warning("%s; the job is given to another", error)
        return await self._ask(name, data, watch)

    async def _ask(self, name: str, data: bytes, watch: "_Stopwatch") -> Verdict:
        child = await self._slots.get()
        keep = None
        try:
            if child is None or not child.alive:
                child = await self._spawn()
            with watch.at_most(self._budget(name)):
                verdict = await _ask_within(self._budget(name), child, data)
            verdict = replace(verdict, seconds=min(verdict.seconds, self._budget(name)))
            keep = child if child.alive else None
        except DiedError:
            if self._closed:
                raise NotStartedError("the verifier pool was closed") from None
            metrics.verifier_kills_total.labels("death").inc()
            raise
        finally:  # also on cancellation: a process whose answer nobody awaits would answer the next job with it
            try:
                if child is not None and keep is None:
                    await self._end(child)
            finally:
                self._slots.put_nowait(keep)
        return verdict

    async def _end(self, child: Child) -> None:
        child.kill()
        await child.reap()
        self._children.discard(child)

    async def _spawn(self) -> Child:
        """Starts a process for the pool. Raises NotStartedError."""
        if self._closed:
            raise NotStartedError("the verifier pool was closed")
        child = await Child.start(self._settings)
        self._children.add(child)
        if self._closed:  # closed while it started: nobody else would end it
            await self._end(child)
            raise NotStartedError("the verifier pool was closed")
        if self._ready.isolation != child.ready.isolation is not None:
            announce(child.ready.isolation)
        self._ready = child.ready
        return child


async def _ask_within(limit: float, child: Child, data: bytes) -> Verdict:
    """The verdict within `limit` seconds, to which the time is added in which other processes had the child's CPU: on
    a busy machine a verdict is the same, and later. Raises TimeoutError, DiedError.
    """
    loop = asyncio.get_running_loop()
    started, starved = loop.time(), 0.0
    timer: asyncio.TimerHandle | None = None
    try:
        async with asyncio.timeout_at(None) as watch:

            def begin() -> None:
                nonlocal timer, starved
                starved = child.starved_seconds()
                timer = loop.call_at(started + limit, extend)

            def extend() -> None:
                nonlocal timer
                extra = min(child.starved_seconds() - starved, STARVED * limit)
                if started + limit + extra - loop.time() > _GRAIN_SECONDS:
                    timer = loop.call_at(started + limit + extra, extend)
                else:
                    watch.reschedule(loop.time())

            timer = loop.call_at(started + limit * _EARLY, begin)
            return await child.ask(data)
    finally:
        if timer is not None:
            timer.cancel()


class _Stopwatch:
    """Measures a job's time in its process, without the wait for an idle process or the end of a killed one."""

    def __init__(self) -> None:
        self.seconds = 0.0

    @contextmanager
    def at_most(self, limit: float) -> Iterator[None]:
        """Measures the block, as at most `limit`: a busy machine notices the end of the block late."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds = min(time.perf_counter() - started, limit)
