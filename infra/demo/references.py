"""Best-of-N references for writing: the best of the SFT model's own samples.

Order: the rubric's points, then the model's own mean log-probability; a trained Bradley-Terry model takes this place
where there is one (arXiv 2503.22230 picks the best of N by it).
"""

from collections.abc import Sequence

from infra.demo.generate import Sample
from infra.demo.measure import rate
from infra.demo.tasks import Task

SAMPLES = 8
"""N, as in the paper's setting that we take for granted: enough for one good sentence among noise."""
KEPT = 3
"""References a prompt keeps, best first; the judge reads the first."""


def ranked(task: Task, samples: Sequence[Sample]) -> list[str]:
    """The samples' distinct texts, best first, those that were cut off last. Raises ValueError where none has text."""
    written = [sample for sample in samples if sample.text.strip()]
    if not written:
        raise ValueError(f"{len(samples)} samples for {task.prompt!r}, and none has text: what model is this?")
    written.sort(key=lambda one: (one.finished, rate(task, one.text), one.mean_logprob), reverse=True)
    return list(dict.fromkeys(sample.text.strip() for sample in written))[:KEPT]
