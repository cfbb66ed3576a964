"""Isolated verdicts a second on code, and how long the slowest take: python tests/bench/bench_code.py [COUNT]

A trivial function task through two verifier processes, each verdict in a sandbox of its own, with as many callers as
processes, so that a verdict's time is its own and not a queue's. Against it: the same without interpreters that wait.
"""

import asyncio
import sys
import time
from dataclasses import dataclass

from measures import measure, note

from infra.settings.tree import RtvSettings
from streams.messages import Question, Status
from workers.sandbox.factory import isolation_of
from workers.verifiers.pool.pool import VerifierPool

WORKERS = 2
COUNT = 1000
WARM_UP = 20
TESTS = {"kind": "function", "entry_point": "add", "cases": [{"args": [1, 2], "expected": 3}]}
QUESTION = Question(prompt="Add two numbers.", verifier="code", options={"tests": TESTS})
RESPONSE = "```python\ndef add(a, b):\n    return a + b  # {}\n```"


@dataclass(frozen=True)
class Rate:
    a_second: float
    p50_ms: float
    p99_ms: float


async def rate(settings: RtvSettings, count: int) -> Rate:
    pool = VerifierPool(settings)
    await pool.start()
    try:
        await callers(pool, WARM_UP)
        started = time.perf_counter()
        seconds = sorted(await callers(pool, count))
        wall = time.perf_counter() - started
    finally:
        await pool.close()
    return Rate(count / wall, 1000 * seconds[count // 2], 1000 * seconds[int(count * 0.99)])


async def callers(pool: VerifierPool, count: int) -> list[float]:
    numbers = iter(range(count))

    async def call() -> list[float]:
        found = []
        for number in numbers:
            started = time.perf_counter()
            verdict = await pool.verify(QUESTION, RESPONSE.format(number))
            found.append(time.perf_counter() - started)
            if verdict.status is not Status.CORRECT:
                raise RuntimeError(f"a right program was judged {verdict}")
        return found

    return [seconds for found in await asyncio.gather(*(call() for _ in range(WORKERS))) for seconds in found]


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else COUNT
    settings = {warm: RtvSettings.model_validate({"workers": WORKERS, "sandbox": {"warm": warm}}) for warm in (0, 2)}
    isolation = isolation_of(settings[2].sandbox)
    note(f"sandbox: {isolation.line}")
    cold = asyncio.run(rate(settings[0], count))
    warm = asyncio.run(rate(settings[2], count))
    details = {"workers": WORKERS, "isolation": isolation.name, "verdicts": count}
    against = "the same, each interpreter started for its program"
    measure(
        "verifier.code", warm.a_second, "verdicts/s", against=against, ratio=warm.a_second / cold.a_second, **details
    )
    ratio = warm.p99_ms / cold.p99_ms
    measure(
        "verifier.code.p99_ms", warm.p99_ms, "ms", against=against, ratio=ratio, p50_ms=round(warm.p50_ms, 1), **details
    )


if __name__ == "__main__":
    main()
