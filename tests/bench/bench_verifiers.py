"""Verdicts a second of the text verifiers, two worker processes: python tests/bench/bench_verifiers.py [COUNT]."""

import asyncio
import sys
import time

from measures import measure

from infra.settings.tree import RtvSettings
from streams.messages import Question
from workers.verifiers.pool import VerifierPool

WORKERS = 2

CASES = {
    "verifier.math.plain": (Question(prompt="?", verifier="math", ground_truth="42"), "The answer is {}."),
    "verifier.math.latex": (
        Question(prompt="?", verifier="math", ground_truth=r"\frac{1}{2}"),
        r"so \boxed{{\frac{{{}}}{{84}}}}",
    ),
    "verifier.exact": (Question(prompt="?", verifier="exact", ground_truth="42"), "{}"),
    "verifier.sentence": (
        Question(prompt="?", verifier="sentence", options={"topic": "the sea"}),
        "The sea throws {} lights at the cliffs while tired gulls circle home.",
    ),
}


async def verdicts_a_second(question: Question, response: str, count: int) -> float:
    pool = VerifierPool(RtvSettings(workers=WORKERS))
    await pool.start()
    try:
        started = time.perf_counter()
        await asyncio.gather(*(pool.verify(question, response.format(number)) for number in range(count)))
        return count / (time.perf_counter() - started)
    finally:
        await pool.close()


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    for name, (question, response) in CASES.items():
        measure(name, asyncio.run(verdicts_a_second(question, response, count)), "verdicts/s", workers=WORKERS)


if __name__ == "__main__":
    main()
