"""One measure of a benchmark: a line of JSON on stdout.

Invariant: stdout of a benchmark carries measures only, one JSON object a line; what it says beside goes to stderr.
"""

import json
import sys
from typing import Any


def measure(
    name: str, value: float, unit: str, *, against: str | None = None, ratio: float | None = None, **details: Any
) -> None:
    """`ratio` is value over that of `against`, both from one run. `details`: what it was measured on."""
    compared = {} if against is None or ratio is None else {"against": against, "ratio": rounded(ratio)}
    print(json.dumps({"name": name, "value": rounded(value), "unit": unit} | compared | details), flush=True)


def note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def rounded(value: float) -> float:
    """To four digits: these machines repeat no more."""
    return float(f"{value:.4g}")
