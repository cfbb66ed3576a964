"""Verdicts a second of the text verifiers, two worker processes: python tests/bench/bench_verifiers.py [COUNT].

`verifier.math` is a mix as a training run sees it: worked solutions of grade-school sums and of competition problems,
right and wrong, half of them LaTeX. No two responses are the same.
"""

import asyncio
import sys
import time

from measures import measure

from infra.settings.tree import RtvSettings
from streams.messages import Question
from workers.verifiers.pool.pool import VerifierPool

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


STEPS = "First we write down what is given.\nThen we see that $x + {0} = y$, hence the terms cancel.\n" * 6
MATHEMATICS = [
    ("42", "She buys 6 boxes of 7 pens, so 6 * 7 = 42 pens, {0} more than before.\n#### 42"),
    ("42", "There are {0} rows. The answer is 42."),
    ("18", "**Answer:** ${0}.00"),
    ("1,250", STEPS + "So the total is \\boxed{{1250}}"),
    (r"\frac{3}{4}", STEPS + r"Therefore the probability is $\boxed{{\frac{{{1}}}{{4}}}}$."),
    (r"\frac{3}{4}", "We find 0.75 in {0} steps, so \\boxed{{0.75}}"),
    (r"2\sqrt{3}", STEPS + r"The length is $\boxed{{\sqrt{{12}} + {1}}}$."),
    ("x^2-1", STEPS + r"\boxed{{(x+1)(x-{1})}}"),
    (r"\{1, 2\}", STEPS + r"The solutions are \boxed{{x = 1 \text{{ or }} x = {1}}}"),
    ("(-\\infty, 3)", STEPS + r"\boxed{{x < {1}}}"),
]


def mathematics(count: int) -> list[tuple[Question, str]]:
    found = []
    for number in range(count):
        gold, response = MATHEMATICS[number % len(MATHEMATICS)]
        question = Question(prompt="?", verifier="math", ground_truth=gold)
        found.append((question, response.format(number, number // len(MATHEMATICS) % 4)))
    return found


def same_question(question: Question, response: str, count: int) -> list[tuple[Question, str]]:
    return [(question, response.format(number)) for number in range(count)]


async def verdicts_a_second(jobs: list[tuple[Question, str]]) -> float:
    pool = VerifierPool(RtvSettings(workers=WORKERS))
    await pool.start()
    try:
        started = time.perf_counter()
        await asyncio.gather(*(pool.verify(question, response) for question, response in jobs))
        return len(jobs) / (time.perf_counter() - started)
    finally:
        await pool.close()


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    rows = {"verifier.math": mathematics(count)}
    rows |= {name: same_question(question, response, count) for name, (question, response) in CASES.items()}
    for name, jobs in rows.items():
        measure(name, asyncio.run(verdicts_a_second(jobs)), "verdicts/s", workers=WORKERS)


if __name__ == "__main__":
    main()
