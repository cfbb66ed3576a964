"""The other side of bench_math_verify.py: `math_verify_side.py CASES` judges every case once per turn by math-verify.

A reply has the seconds of CPU per verdict. A reference is parsed once, as our verifier does for a group's responses.
"""

import json
import logging
import sys
import time
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from math_verify import parse, verify
from turns import Turns


def main(file: Path) -> None:
    logging.disable(logging.CRITICAL)  # it warns at each call that it has no time limit
    turns = Turns()
    cases = json.loads(file.read_text())
    while turns.wait():
        started = time.process_time()
        for case in cases:
            with suppress(Exception):  # what it cannot judge costs what it costs
                verify(_gold(case["ground_truth"]), parse(case["response"], parsing_timeout=None), timeout_seconds=None)
        turns.reply(seconds=(time.process_time() - started) / len(cases))


@lru_cache(None)
def _gold(text: str) -> list[Any]:
    parsed: list[Any] = parse(f"${text}$", parsing_timeout=None)
    return parsed


if __name__ == "__main__":
    main(Path(sys.argv[1]))
