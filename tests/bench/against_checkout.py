"""CPU per verdict of every verifier, against another checkout.

    git worktree add ../before COMMIT
    .venv/bin/python tests/bench/against_checkout.py ../before [NAME ...]

For a change that may make verdicts slower. NAMEs choose mixes by their beginning, such as `math` or `exact.bare`. Both
sides judge the same responses in turn, each in a process of its own; the first turn is not counted. `ratio` is the
median over turns of the other's seconds divided by ours.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from statistics import median

from measures import measure
from turns import Side
from verifier_mixes import mixes

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkout", type=Path)
    parser.add_argument("names", nargs="*", help="beginnings of the mixes' names (default: all)")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    names = tuple(options.names) or ("",)
    chosen = {name: mix for name, mix in mixes().items() if name.startswith(names)}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "mixes.json"
        file.write_text(json.dumps(chosen))
        with _side("ours", ROOT, file) as ours, _side("theirs", options.checkout.resolve(), file) as theirs:
            turns = [(ours.turn(), theirs.turn()) for _ in range(options.rounds + 1)][1:]
    for name, mix in chosen.items():
        measure(
            f"verifier.{name}.cpu_us",
            1e6 * median(own[name] for own, _ in turns),
            "us of CPU per verdict",
            against=str(options.checkout),
            ratio=median(other[name] / own[name] for own, other in turns),
            verdicts=len(mix),
            rounds=options.rounds,
        )


def _side(name: str, checkout: Path, file: Path) -> Side:
    command = [sys.executable, HERE / "verifiers_side.py", checkout, file]
    return Side(command, {"PYTHONPATH": str(checkout)}, ROOT / "runs" / f"verdicts-{name}.log")


if __name__ == "__main__":
    main()
