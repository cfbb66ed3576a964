"""Best-of-N references for writing: the best of the SFT model's own samples.

Samples are ordered by the rubric's score, then by the model's own mean log-probability. arXiv 2503.22230 picks
the best of N with a trained Bradley-Terry model instead.
"""

from collections.abc import Sequence

from infra.demo.generate import Sample
from infra.demo.measure import rate
from infra.demo.tasks import DemoTask

SAMPLES = 8
"""N of best-of-N: enough for one good sentence among noisy ones. The paper does not state its N."""
KEPT = 3
"""References kept per prompt, best first; the judge reads the first."""


def ranked(task: DemoTask, samples: Sequence[Sample]) -> list[str]:
    """Returns the distinct texts of the samples, best first; those that were cut off come last. Raises ValueError if
    none has text.
    """
    written = [(text, one) for one in samples if (text := _printable(one.text))]
    if not written:
        raise ValueError(f"none of the {len(samples)} samples for {task.prompt!r} has text: check the model after SFT")
    written.sort(key=lambda pair: (pair[1].finished, rate(task, pair[0]), pair[1].mean_logprob), reverse=True)
    return list(dict.fromkeys(text for text, _ in written))[:KEPT]


def _printable(text: str) -> str:
    """Removes control characters, which Postgres does not store."""
    return "".join(character for character in " ".join(text.split()) if character.isprintable())
