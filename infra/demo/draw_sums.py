"""Draws `data/sums.json` from reasoning-gym's chain_sum generator: `python -m infra.demo.draw_sums`.

The demo reads the file, because installing reasoning-gym needs a C compiler, which a laptop may lack. If reasoning-gym
is installed, a test draws again and compares.
"""

import json
from pathlib import Path

from infra.demo.splits import SEED

FILE = Path(__file__).parent / "data" / "sums.json"
DIGITS = (1, 2)
_DRAWN = 4000
"""Number of draws from chain_sum. One-digit operands form 100 ordered pairs, so each is drawn many times."""


def draw(digits: int) -> list[str]:
    """Returns the distinct expressions of two operands with `digits` digits each, sorted."""
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
