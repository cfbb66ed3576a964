"""Best-of-N references for writing: the best of the SFT model's own samples.

Order: the rubric's points, then the model's own mean log-probability; a trained Bradley-Terry model takes this place
where there is one (arXiv 2503.22230 picks the best of N by it).
"""

from collections.abc import Sequence

from infra.demo.generate import Sample
from infra.demo.measure import rate
from infra.demo.tasks import DemoTask

SAMPLES = 8
"""N, as in the paper's setting that we take for granted: enough for one good sentence among noise."""
KEPT = 3
"""References a prompt keeps, best first; the judge reads the first."""


def ranked(task: DemoTask, samples: Sequence[Sample]) -> list[str]:
    """The samples' distinct texts, best first, those that were cut off last. Raises ValueError where none has text."""
    written = [(text, one) for one in samples if (text := _printable(one.text))]
    if not written:
        raise ValueError(f"{len(samples)} samples for {task.prompt!r}, and none has text: what model is this?")
    written.sort(key=lambda pair: (pair[1].finished, rate(task, pair[0]), pair[1].mean_logprob), reverse=True)
    return list(dict.fromkeys(text for text, _ in written))[:KEPT]


def _printable(text: str) -> str:
    """Without control characters, which Postgres would not keep."""
    return "".join(character for character in " ".join(text.split()) if character.isprintable())
