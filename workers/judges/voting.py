"""Votes: several sampled verdicts, each after its reasoning, as fractions of their number.

Invariant: a sample without a verdict line is not a vote: it adds to the off-verdict mass, and is never a NO.
"""

import re
from collections import Counter
from collections.abc import Sequence

from workers.judges.endpoint import NonsenseError
from workers.judges.verdicts import Scale, VerdictProbabilities


def read_votes(samples: Sequence[str], scale: Scale) -> VerdictProbabilities:
    """Counts one prompt's samples; the last verdict line of each counts, since reasoning may quote the response's.
    Raises NonsenseError if no sample has one.
    """
    counts = Counter(_parse_vote(sample, scale) for sample in samples)
    found = VerdictProbabilities(scale, tuple(counts[word] / len(samples) for word in scale.words))
    if not found.usable:
        raise NonsenseError(f"none of {len(samples)} samples ends in a verdict")
    return found


def _parse_vote(sample: str, scale: Scale) -> str | None:
    words = "|".join(scale.words)
    found = re.findall(rf"^\W*Verdict\W+({words})\b\W*$", sample, re.IGNORECASE | re.MULTILINE)
    return str(found[-1]).upper() if found else None
