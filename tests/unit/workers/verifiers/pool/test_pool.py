"""The pool's processes hang, die, fill up and lose their parent; every job still gets its verdict."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from support.sandbox.probes import gone
from support.verifiers import hostile_verifier
from support.waiting import wait_in_loop_until, wait_until

from infra.settings.tree import RtvSettings
from streams.messages import Question, Status
from workers.verifiers.base import Verdict
from workers.verifiers.math.verifier import MathVerifier
from workers.verifiers.pool.child import NotStartedError
from workers.verifiers.pool.pool import VerifierPool
from workers.verifiers.registry import verifier_names

RIGHT = Question(prompt="?", verifier="math", ground_truth="7")


@asynccontextmanager
async def pool(on_verdict: Callable[[], None] = lambda: None, **settings: object) -> AsyncIterator[VerifierPool]:
    found = VerifierPool(RtvSettings.model_validate(settings), on_verdict)
    try:
        yield found
    finally:
        await found.close()


@pytest.fixture(scope="module", autouse=True)
def _hostile_verifier(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Processes see a further distribution, whose verifier `hostile` does what its prompt says."""
    folder = tmp_path_factory.mktemp("site")
    info = folder / "hostile-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: hostile\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[rewardstream.verifiers]\nhostile = hostile_verifier:HostileVerifier\n")
    shutil.copy(hostile_verifier.__file__, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
        yield


Judge = Callable[[Question, str], Verdict]


@pytest.fixture(scope="module")
def verify(_hostile_verifier: None) -> Iterator[Judge]:
    """One pool for the tests that leave it alive: a process takes a second to start."""
    with asyncio.Runner() as runner:
        shared = VerifierPool(RtvSettings(timeout_seconds=2.0, memory_mib=768))
        yield lambda question, response: runner.run(shared.verify(question, response))
        runner.run(shared.close())


def hostile(deed: str, **options: object) -> Question:
    return Question(prompt=deed, verifier="hostile", options=options)


def test_verdicts_come_back_to_their_callers() -> None:
    async def scenario() -> list[Verdict]:
        async with pool(workers=2) as found:
            return await asyncio.gather(*(found.verify(RIGHT, str(number)) for number in range(20)))

    verdicts = asyncio.run(scenario())
    assert [verdict.score for verdict in verdicts] == [float(number == 7) for number in range(20)]
    assert {(verdict.scorer, verdict.version) for verdict in verdicts} == {("math", MathVerifier.version)}


@pytest.mark.parametrize(
    ("deed", "status", "why"),
    [
        ("hang in C", Status.TIMEOUT, "no verdict within"),
        ("fill memory", Status.OOM, "memory limit"),
        ("SIGKILL", Status.OOM, "SIGKILL"),
        ("SIGSEGV", Status.INFRA_ERROR, "SIGSEGV"),
        ("raise", Status.INFRA_ERROR, "ValueError in verifier 'hostile': on purpose"),
        ("nonsense", Status.INFRA_ERROR, "nonsense"),
    ],
)
def test_what_a_response_does_to_its_process_is_a_status(verify: Judge, deed: str, status: Status, why: str) -> None:
    verdict = verify(hostile(deed), "")
    assert verify(RIGHT, "7").status is Status.CORRECT  # and the pool is well
    assert (verdict.status, verdict.score) == (status, None if status is Status.INFRA_ERROR else 0.0)
    assert why in verdict.why
    assert (verdict.scorer, verdict.version) == ("hostile", "1")


def test_a_process_killed_from_outside_costs_no_verdict(verify: Judge, tmp_path: Path) -> None:
    """The first process kills itself in the job, as an operator might; the second finds the mark and answers."""
    assert verify(hostile("SIGKILL once", mark=str(tmp_path / "mark")), "").status is Status.CORRECT


@pytest.mark.parametrize(
    "bomb",
    ["9^{9^9}", "(10^9)!", "9" * 200_000, "(" * 3000 + "1" + ")" * 3000, r"\boxed{" * 9000, "1+" * 50_000 + "1"],
    ids=range(6),
)
def test_bombs_are_refused_within_the_time(verify: Judge, bomb: str) -> None:
    verdict = verify(RIGHT, bomb)
    assert (verdict.score, verdict.status) in {(0.0, Status.UNPARSEABLE), (0.0, Status.WRONG)}


def test_a_busy_machine_makes_a_verdict_late_but_not_another() -> None:
    """Eight processes share one core, and the verdict needs a fifth of its limit."""
    core = min(os.sched_getaffinity(0))
    busy = f"import os\nos.sched_setaffinity(0, {{{core}}})\nwhile True: pass"

    async def scenario() -> Verdict:
        async with pool(timeout_seconds=1.0) as found:
            await found.start()
            for child in found._children:
                os.sched_setaffinity(child.pid, {core})
            others = [await asyncio.create_subprocess_exec(sys.executable, "-c", busy) for _ in range(7)]
            try:
                return await found.verify(hostile("work", seconds=0.2), "")
            finally:
                for other in others:
                    other.kill()
                    await other.wait()

    verdict = asyncio.run(scenario())
    assert verdict.status is Status.CORRECT, verdict.why
    assert verdict.seconds <= 1.0


def test_an_unknown_verifier_is_named_with_those_there_are(verify: Judge) -> None:
    verdict = verify(Question(prompt="?", verifier="maths"), "7")
    assert verdict.status is Status.INFRA_ERROR
    assert f"'maths'; installed are: {', '.join(sorted([*verifier_names(), 'hostile']))}" in verdict.why


def test_the_pool_tells_of_every_verdict_whatever_its_status() -> None:
    told: list[None] = []

    async def scenario() -> list[Verdict]:
        async with pool(on_verdict=lambda: told.append(None), timeout_seconds=0.5) as found:
            return [await found.verify(question, "7") for question in (RIGHT, hostile("hang in C"), hostile("unknown"))]

    verdicts = asyncio.run(scenario())
    assert [verdict.status for verdict in verdicts[:2]] == [Status.CORRECT, Status.TIMEOUT]
    assert len(told) == len(verdicts)


def test_a_cancelled_job_leaves_no_answer_behind() -> None:
    async def scenario() -> None:
        async with pool() as found:
            await found.start()
            task = asyncio.create_task(found.verify(hostile("hang"), ""))
            await wait_in_loop_until(lambda: not found._slots.qsize(), "a job in the process")
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert (await found.verify(RIGHT, "7")).status is Status.CORRECT

    asyncio.run(scenario())


def test_a_process_that_starts_while_the_pool_closes_is_ended() -> None:
    async def scenario() -> None:
        found = VerifierPool(RtvSettings())
        starting = asyncio.create_task(found.start())
        await asyncio.sleep(0)  # the process is launched, and not yet ready
        await found.close()
        with pytest.raises(NotStartedError):
            await starting
        assert not found._children

    asyncio.run(scenario())


def test_a_pool_works_in_an_event_loop_of_another_thread() -> None:
    found: list[Verdict] = []

    async def scenario() -> None:
        async with pool(timeout_seconds=1.0) as own:
            found.extend([await own.verify(RIGHT, "7"), await own.verify(hostile("hang"), "")])

    thread = threading.Thread(target=lambda: asyncio.run(scenario()))
    thread.start()
    thread.join(60)
    assert [verdict.status for verdict in found] == [Status.CORRECT, Status.TIMEOUT]


def test_renewed_processes_are_others_and_jobs_go_on_meanwhile() -> None:
    async def judge() -> tuple[set[int], set[int], list[Status]]:
        async with pool(workers=2) as found:
            await found.start()
            before = {child.pid for child in found._children}
            jobs = [asyncio.create_task(found.verify(RIGHT, "7")) for _ in range(40)]
            await found.renew()
            verdicts = await asyncio.gather(*jobs)
            return before, {child.pid for child in found._children}, [verdict.status for verdict in verdicts]

    before, after, statuses = asyncio.run(judge())
    assert len(before) == len(after) == 2
    assert not before & after
    assert statuses == [Status.CORRECT] * 40
    assert all(gone(pid) for pid in before)


def test_close_ends_the_processes_and_the_jobs() -> None:
    async def scenario() -> tuple[Verdict, list[int]]:
        async with pool(workers=2) as found:
            await found.start()
            pids = [child.pid for child in found._children]
            task = asyncio.create_task(found.verify(hostile("hang"), ""))
            await wait_in_loop_until(lambda: found._slots.qsize() == 1, "a free process")
            await found.close()
            return await task, pids

    verdict, pids = asyncio.run(scenario())
    assert verdict.status is Status.INFRA_ERROR
    assert len(pids) == 2
    assert all(gone(pid) for pid in pids)


def test_no_process_outlives_its_parent() -> None:
    program = (
        "import asyncio, time\n"
        "from infra.settings.tree import RtvSettings\n"
        "from workers.verifiers.pool.pool import VerifierPool\n"
        "async def main():\n"
        "    pool = VerifierPool(RtvSettings(workers=2))\n"
        "    await pool.start()\n"
        "    print(*[child.pid for child in pool._children], flush=True)\n"
        "    time.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        parent.send_signal(signal.SIGKILL)
    assert len(pids) == 2
    wait_until(lambda: all(gone(pid) for pid in pids), "the end of the processes")


def test_processes_import_no_torch() -> None:
    program = (
        "import sys\n"
        "from workers.verifiers import registry\n"
        "from workers.verifiers.pool import process\n"
        "names = [name for name in registry.verifier_names() if name != 'hostile']\n"
        "assert [registry.load_verifier(name).name for name in names] == names\n"
        "assert not {'torch', 'transformers', 'datasets', 'faust'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
