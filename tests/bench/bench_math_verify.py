"""CPU per verdict of our `math` against math-verify, called in process: python tests/bench/bench_math_verify.py.

Both judge the same responses in turn, each in a process of its own; the first turn is not counted. `ratio` is the
median over turns of our seconds divided by math-verify's. Ours compare by math-verify, too, if two values are not
plainly equal or different. In addition, they read what the response commits to, which math-verify does not.
"""

import json
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from bench_verifiers import mathematics
from measures import measure
from turns import Side

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
RESPONSES = 500
ROUNDS = 5


def main() -> None:
    cases = [_case(str(question.ground_truth), response) for question, response in mathematics(RESPONSES)]
    with tempfile.TemporaryDirectory() as folder:
        mixes, plain = Path(folder) / "mixes.json", Path(folder) / "cases.json"
        mixes.write_text(json.dumps({"math": cases}))
        plain.write_text(json.dumps(cases))
        ours = _side("ours", [HERE / "verifiers_side.py", ROOT, mixes])
        theirs = _side("theirs", [HERE / "math_verify_side.py", plain])
        with ours, theirs:
            turns = [(ours.turn()["math"], theirs.turn()["seconds"]) for _ in range(ROUNDS + 1)][1:]
    measure(
        "verifier.math.cpu_us",
        1e6 * median(own for own, _ in turns),
        "us of CPU per verdict",
        against="math-verify",
        ratio=median(own / other for own, other in turns),
        verdicts=len(cases),
        rounds=ROUNDS,
    )


def _case(gold: str, response: str) -> dict[str, Any]:
    return {"verifier": "math", "prompt": "?", "ground_truth": gold, "options": {}, "response": response}


def _side(name: str, command: list[str | Path]) -> Side:
    return Side([sys.executable, *command], {"PYTHONPATH": str(ROOT)}, ROOT / "runs" / f"math-{name}.log")


if __name__ == "__main__":
    main()
