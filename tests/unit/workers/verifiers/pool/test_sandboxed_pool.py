"""Programs through the pool: their budget, what is told of their isolation, and what is left when it closes."""

import asyncio
import logging
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from infra.metrics import metrics
from infra.settings.tree import RtvSettings
from streams.messages import Question, Status
from workers.sandbox import cgroups, subprocess_backend
from workers.sandbox.base import Isolation
from workers.sandbox.cgroups import CgroupRoot
from workers.verifiers.pool.isolation import announce
from workers.verifiers.pool.pool import VerifierPool

TESTS = {"kind": "function", "entry_point": "add", "cases": [{"args": [1, 2], "expected": 3}]}
BUDGET = {"budget_seconds": 3.0, "case_seconds": 10.0}
"""The program's own time, which is cut to the budget, ends first; the pool's kill is for what escapes that."""


@asynccontextmanager
async def pool(**settings: object) -> AsyncIterator[VerifierPool]:
    found = VerifierPool(RtvSettings.model_validate({"timeout_seconds": 0.5} | settings))
    try:
        await found.start()
        yield found
    finally:
        await found.close()


def question() -> Question:
    return Question(prompt="?", verifier="code", options={"tests": TESTS})


def left_behind() -> set[str]:
    root = CgroupRoot.find()
    folders = [(Path(tempfile.gettempdir()), subprocess_backend.PREFIX)]
    folders += [(root.memory, cgroups.PREFIX), (root.pids, cgroups.PREFIX)] if root else []
    return {str(path) for folder, prefix in folders for path in folder.glob(f"{prefix}*")}


@pytest.mark.parametrize("kind", ["auto", "subprocess"])
def test_programs_have_the_sandboxs_budget_and_leave_nothing(kind: str) -> None:
    async def scenario() -> None:
        async with pool(sandbox={"kind": kind} | BUDGET) as found:
            slow = "import time\ndef add(a, b):\n    time.sleep(1)\n    return a + b"
            assert (await found.verify(question(), slow)).status is Status.CORRECT  # longer than the other budget
            verdict = await found.verify(question(), "import time; time.sleep(60)")
            assert verdict.status is Status.TIMEOUT
            assert "loading the program" in verdict.why  # its own limit ended it, not the kill of its process
            assert 0 < verdict.seconds <= BUDGET["budget_seconds"]
            daemon = f"import subprocess\nsubprocess.Popen(['sleep', '62.{os.getpid()}'], start_new_session=True)\n"
            await found.verify(question(), f"{daemon}def add(a, b): return a + b")
            children.extend(psutil.Process(child.pid) for child in found._children)

    children: list[psutil.Process] = []
    before = left_behind()
    asyncio.run(scenario())
    assert not any(process.is_running() for process in children)
    assert not [
        process
        for process in psutil.process_iter(["cmdline"])
        if f"62.{os.getpid()}" in (process.info["cmdline"] or [])
    ]
    mine = {name for name in left_behind() - before if any(f"-{process.pid}-" in name for process in children)}
    assert mine == set()


def test_a_process_killed_over_a_program_costs_no_verdict() -> None:
    async def scenario() -> None:
        async with pool(sandbox=BUDGET) as found:
            task = asyncio.create_task(
                found.verify(question(), "import time\ndef add(a, b):\n    time.sleep(1)\n    return a + b")
            )
            async with asyncio.timeout(10):
                while found._slots.qsize():  # noqa: ASYNC110  processes of the system raise no event
                    await asyncio.sleep(0.01)
            next(iter(found._children)).kill()
            assert (await task).status is Status.CORRECT

    asyncio.run(scenario())


def shown() -> dict[tuple[str, str], float]:
    samples = next(iter(metrics.sandbox_isolation.collect())).samples
    return {(sample.labels["name"], sample.labels["missing"]): sample.value for sample in samples}


def test_the_isolation_is_told_once_for_each_pool(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with pool(workers=2, sandbox={"kind": "subprocess"}):
            pass

    with caplog.at_level(logging.INFO, "workers.verifiers.pool.isolation"):
        asyncio.run(scenario())
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "reaching the network" in record.message
    ((name, missing),) = shown()
    assert name == "subprocess"
    assert missing.startswith("network, files")


def test_a_good_sandbox_is_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "workers.verifiers.pool.isolation"):
        announce(Isolation("bubblewrap", ("network",), ()))
    assert [record.levelno for record in caplog.records] == [logging.INFO]
    assert shown() == {("bubblewrap", ""): 1.0}


def test_no_sandbox_at_all_is_told(caplog: pytest.LogCaptureFixture) -> None:
    announce(Isolation("none", (), (), "bwrap is not installed"))
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert "bwrap is not installed" in record.message
