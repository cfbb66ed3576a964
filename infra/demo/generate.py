"""Samples responses to the demo's tasks with the same engine that the demo's run uses.

Invariant: the samples are a pure function of weights, tasks and seed. Each task has its own random stream, so adding a
task does not change the samples of the others.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.demo.tasks import DemoTask
from streams.messages import Sampling
from workers.engines.base import GenerationRequest

_RUNNING = 96
_CONTEXT = 256


@dataclass(frozen=True, slots=True)
class Sample:
    text: str
    finished: bool
    """The sample ended with the end-of-sequence token."""
    mean_logprob: float
    """Nats per token, under the distribution it was sampled from."""


def sample(
    folder: Path,
    tasks: Sequence[DemoTask],
    samples: int,
    *,
    seed: int,
    max_new_tokens: Mapping[str, int],
    progress: Callable[[int, int], None] | None = None,
) -> list[list[Sample]]:
    """Samples `samples` continuations of each task at temperature 1.

    Raises OSError or ValueError if the model does not load, and ValueError if two tasks have the same prompt.
    """
    from workers.engines.hf import HfEngine

    engine = HfEngine(folder, max_running=_RUNNING, max_model_tokens=_CONTEXT)
    found: list[list[Sample | None]] = [[None] * samples for _ in tasks]
    place = {task.prompt: number for number, task in enumerate(tasks)}
    if len(place) < len(tasks):
        raise ValueError("two tasks have the same prompt: their samples would be identical")
    for task in tasks:
        sampling = Sampling(temperature=1.0, max_new_tokens=max_new_tokens[task.domain], seed=seed)
        prompt = engine.encode_chat(({"role": "user", "content": task.prompt},))
        engine.submit(GenerationRequest(task.prompt, prompt, samples, sampling))
    done, total = 0, len(tasks) * samples
    while engine.running:
        for generation in engine.step():
            found[place[generation.key]][generation.index] = Sample(
                text=engine.decode(generation.token_ids),
                finished=generation.finish_reason == "stop",
                mean_logprob=sum(generation.logprobs) / len(generation.logprobs),
            )
            done += 1
        if progress:
            progress(done, total)
    engine.close()
    return [[one for one in row if one is not None] for row in found]
