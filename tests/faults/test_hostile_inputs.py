"""Hostile inputs in a row, fuzzed from every verifier's cases, through one pool: what must hold whatever they do.

REWARDSTREAM_FUZZ_INPUTS sets how many, REWARDSTREAM_FUZZ_SEED which. The default takes a minute on two cores; 10,000
pass, too.
"""

import asyncio
import os
import random
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import psutil
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from support.hostile_mutations import responses
from support.hostile_seeds import Seed, seeds

from infra.settings.tree import RtvSettings, SandboxSettings
from streams.messages import Status
from workers.sandbox.cgroups import PREFIX
from workers.sandbox.owner_marks import is_left_over
from workers.verifiers.answers.reasoning import after_reasoning
from workers.verifiers.base import Verdict
from workers.verifiers.pool.child import Child
from workers.verifiers.pool.pool import VerifierPool
from workers.verifiers.registry import load_verifier, verifier_names

pytestmark = pytest.mark.slow

INPUTS = int(os.environ.get("REWARDSTREAM_FUZZ_INPUTS", "4000"))
SEED = int(os.environ.get("REWARDSTREAM_FUZZ_SEED", "0"))
WORKERS = 2
SETTINGS = RtvSettings(
    workers=WORKERS,
    timeout_seconds=2.0,
    sandbox=SandboxSettings(budget_seconds=3.0, case_seconds=1.0),
)
WEIGHTS = {"math": 50, "instructions": 20, "code": 3, "sql": 3, "puzzle": 4}
"""The others have 4. Programs in the sandbox are slow, and have tests of their own."""
LATE_SECONDS = 0.5
SAMPLES = 60
"""Samples of the memory in use, evenly spread over the row."""

Input = tuple[Seed, str]


@dataclass
class Row:
    """What a row of inputs left to look at."""

    verdicts: list[tuple[Input, Verdict]] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)
    """Bytes of this process and the pool's verifier processes, sampled."""
    processes: list[psutil.Process] = field(default_factory=list)
    """Descendants of this process afterwards that were not there before."""
    files: list[Path] = field(default_factory=list)
    """What is left in the temporary folder and among the cgroups."""


_spent: ContextVar[list[float]] = ContextVar("spent")
"""One number: the seconds that a process had for the verdict that is awaited."""


@pytest.fixture(scope="module")
def row(tmp_path_factory: pytest.TempPathFactory) -> Row:
    temporary = tmp_path_factory.mktemp("hostile")
    inputs = hostile_inputs(INPUTS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(temporary))
        patch.setattr(tempfile, "tempdir", str(temporary))
        patch.setattr(Child, "ask", _timed(Child.ask))
        before, groups = set(psutil.Process().children(recursive=True)), left_cgroups()
        found = asyncio.run(judge_all(inputs))
    found.processes = list(set(psutil.Process().children(recursive=True)) - before)
    print(Counter((verdict.scorer, verdict.status.value) for _, verdict in found.verdicts))
    print("MiB, first to last:", [used // 2**20 for used in found.memory])
    found.files = [*temporary.iterdir(), *(left_cgroups() - groups)]
    return found


def _timed(ask: Callable[[Child, bytes], Awaitable[Verdict]]) -> Callable[[Child, bytes], Awaitable[Verdict]]:
    """Notes how long a process was last at the job. A wait for an idle one, or its start, is no part of the budget, and
    neither is the time in which other processes had the CPU, of the process or of this one, which watches it.
    """

    async def timed(self: Child, data: bytes) -> Verdict:
        started, starved = time.perf_counter(), self.starved_seconds() + own_starved_seconds()
        try:
            return await ask(self, data)
        finally:  # also if the pool ends the wait; the process is killed afterwards
            others = self.starved_seconds() + own_starved_seconds() - starved
            _spent.get()[0] = time.perf_counter() - started - others

    return timed


def own_starved_seconds() -> float:
    """Seconds in which this thread was ready to run and others had the CPU; 0 if the kernel does not count them."""
    counted = Path("/proc/thread-self/schedstat")
    return int(counted.read_text().split()[1]) / 1e9 if counted.exists() else 0.0


def left_cgroups() -> set[Path]:
    """The groups whose process is gone; those of other services on this machine stay."""
    return {
        folder
        for folder in Path("/sys/fs/cgroup").rglob(f"{PREFIX}*")
        if is_left_over(folder.name.removeprefix(PREFIX))
    }


def hostile_inputs(how_many: int) -> list[Input]:
    """Each verifier as often as its weight says, in any order."""
    pools = seeds(verifier_names())
    weights = {name: WEIGHTS.get(name, 4) for name in pools}
    found = [
        given_input
        for name, pool in pools.items()
        for given_input in drawn(pool, -(-how_many * weights[name] // sum(weights.values())))  # rounded up
    ]
    random.Random(SEED).shuffle(found)
    return found


def drawn(pool: list[Seed], how_many: int) -> list[Input]:
    """Returns what hypothesis draws, which searches for odd ones; shrinking would need verdicts one by one."""
    found: list[Input] = []

    @seed(SEED)
    @settings(
        max_examples=how_many,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(responses(pool))
    def draw(given_input: Input) -> None:
        found.append(given_input)

    draw()
    return found


async def judge_all(inputs: list[Input]) -> Row:
    row = Row()
    pool = VerifierPool(SETTINGS)
    await pool.start()
    left = iter(inputs)
    numbers = count()
    every = max(1, len(inputs) // SAMPLES)

    async def caller() -> None:
        """One verdict at a time, so that no job waits in a queue."""
        for given_input in left:
            verdict, lateness = await timed_verdict(pool, given_input)
            if lateness > LATE_SECONDS:
                row.late.append(f"{lateness:.2f} s after its budget: {told(given_input, verdict)}")
            row.verdicts.append((given_input, verdict))
            if next(numbers) >= every * len(row.memory) and len(running(pool)) == WORKERS:
                row.memory.append(memory_of(running(pool)))

    try:
        await asyncio.gather(*(caller() for _ in range(WORKERS)))
    finally:
        await pool.close()
    return row


async def timed_verdict(pool: VerifierPool, given_input: Input) -> tuple[Verdict, float]:
    """And the seconds by which it came after its budget, negative before."""
    given_seed, response = given_input
    spent = [0.0]
    _spent.set(spent)
    verdict = await pool.verify(given_seed.question, response)
    sandboxed = getattr(load_verifier(str(given_seed.question.verifier)), "sandboxed", False)
    budget = SETTINGS.sandbox.budget_seconds if sandboxed else SETTINGS.timeout_seconds
    return verdict, spent[0] - budget


def running(pool: VerifierPool) -> list[psutil.Process]:
    """Its processes, without those that are about to be replaced."""
    return [psutil.Process(child.pid) for child in pool._children if child.alive]


def memory_of(children: list[psutil.Process]) -> int:
    return sum(process.memory_info().rss for process in [psutil.Process(), *children])


def told(given_input: Input, verdict: Verdict) -> str:
    given_seed, response = given_input
    text = response if len(response) < 200 else f"{response[:200]}... ({len(response)} characters)"
    return f"{given_seed.question.verifier} {given_seed.question.options} {text!r}: {verdict.status} {verdict.why}"


def failing(row: Row, holds: Callable[[Input, Verdict], bool]) -> list[str]:
    return [told(given_input, verdict) for given_input, verdict in row.verdicts if not holds(given_input, verdict)]


@pytest.mark.timeout(600)
def test_every_input_gets_a_verdict(row: Row) -> None:
    assert len(row.verdicts) >= INPUTS
    assert {verdict.scorer for _, verdict in row.verdicts} == set(verifier_names())
    assert {verdict.status for _, verdict in row.verdicts} > {Status.CORRECT, Status.WRONG, Status.UNPARSEABLE}


def test_score_and_status_agree(row: Row) -> None:
    def holds(_: Input, verdict: Verdict) -> bool:
        match verdict.status:
            case Status.CORRECT:
                return verdict.score == 1.0
            case Status.INFRA_ERROR:
                return verdict.score is None
            case Status.JUDGED:
                return verdict.score is not None and 0.0 <= verdict.score <= 1.0
            case _:
                return verdict.score == 0.0

    assert failing(row, holds) == []
    assert failing(row, lambda _, verdict: bool(verdict.why and verdict.version)) == []


def test_nothing_after_the_reasoning_is_never_right(row: Row) -> None:
    assert failing(row, lambda given_input, verdict: verdict.score in {0.0, None} or says_something(given_input)) == []


def says_something(given_input: Input) -> bool:
    return bool(after_reasoning(given_input[1]))


def test_no_response_is_infra_error(row: Row) -> None:
    """A policy that could make its verdicts vanish would do it."""
    holds = failing(row, lambda _, verdict: verdict.status is not Status.INFRA_ERROR)
    assert holds == []


def test_no_verdict_is_later_than_its_budget(row: Row) -> None:
    """The budget is of seconds in which a process has a CPU or waits for something else than one, so that it is the
    same on a busy machine. The event loop that keeps it takes milliseconds: half a second is room for a slow disk.
    """
    assert row.late == []


def test_memory_is_flat(row: Row) -> None:
    """Medians of thirds, after the caches of the first fifth."""
    settled = row.memory[len(row.memory) // 5 :]
    third = len(settled) // 3
    medians = [statistics.median(settled[start : start + third]) for start in (0, third, 2 * third)]
    assert max(medians) <= 1.1 * min(medians), [f"{median / 2**20:.0f} MiB" for median in medians]


def test_no_process_and_no_file_is_left(row: Row) -> None:
    _, alive = psutil.wait_procs(row.processes, timeout=60)
    assert alive == []
    assert row.files == []
    assert not Path("/tmp/owned").exists()  # noqa: S108  what the seeds try to write
