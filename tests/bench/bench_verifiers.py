"""Verdicts a second with one worker process: python tests/bench/bench_verifiers.py [COUNT]."""

import asyncio
import sys
import time

from infra.settings.tree import RtvSettings
from streams.messages import Question
from workers.verifiers.pool import VerifierPool

CASES = {
    "math, plain number": (Question(prompt="?", verifier="math", ground_truth="42"), "The answer is {}."),
    "math, LaTeX": (
        Question(prompt="?", verifier="math", ground_truth=r"\frac{1}{2}"),
        r"so \boxed{{\frac{{{}}}{{84}}}}",
    ),
    "exact": (Question(prompt="?", verifier="exact", ground_truth="42"), "{}"),
    "sentence": (
        Question(prompt="?", verifier="sentence", options={"topic": "the sea"}),
        "The sea throws {} lights at the cliffs while tired gulls circle home.",
    ),
}


async def measure(question: Question, response: str, count: int) -> float:
    pool = VerifierPool(RtvSettings(workers=1))
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
        print(f"{name}: {asyncio.run(measure(question, response, count)):.0f} verdicts/s")


if __name__ == "__main__":
    main()
