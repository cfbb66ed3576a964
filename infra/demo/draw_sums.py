"""Draws `data/sums.json` from reasoning-gym's chain_sum generator: `python -m infra.demo.draw_sums`.

The demo reads the file: reasoning-gym needs a C compiler to install, and a laptop may have none. A test draws again
and compares, where reasoning-gym is installed.
"""

import json
from pathlib import Path

from infra.demo.splits import SEED

FILE = Path(__file__).parent / "data" / "sums.json"
DIGITS = (1, 2)
_DRAWN = 4000
"""Draws of chain_sum: one-digit operands give 100 ordered pairs, so each is drawn many times over."""


def draw(digits: int) -> list[str]:
    """Expressions of two operands of `digits` digits, each once, sorted."""
    from reasoning_gym import create_dataset

    drawn = create_dataset(
        "chain_sum", seed=SEED, size=_DRAWN, min_terms=2, max_terms=2, min_digits=digits, max_digits=digits
    )
    return sorted({entry["metadata"]["expression"] for entry in drawn})


def main() -> None:
    expressions = {str(digits): draw(digits) for digits in DIGITS}
    FILE.write_text(json.dumps(expressions) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
