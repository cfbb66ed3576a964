"""Prints the verdicts on the tables of answers, one a line: python -m support.verifiers.verdicts SCORERS ORDER [THEME].

SCORERS are names with commas, ORDER is `forwards` or `backwards`; it is a process of its own, so that each starts with
other hashes, other random numbers and empty caches.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from infra.settings.tree import RtvSettings
from streams.messages import Question
from support.verifiers import mathematics_right, mathematics_wrong, quantities_right, quantities_wrong
from workers.verifiers.base import Configured
from workers.verifiers.registry import load_verifier

CASES = Path(__file__).parents[2] / "unit" / "workers" / "verifiers" / "cases"
TABLES = {
    "math": (mathematics_right.RIGHT, mathematics_wrong.WRONG),
    "quantity": (quantities_right.RIGHT, quantities_wrong.WRONG),
}
EXPENSIVE = "expensive"
"""A theme of answers that take seconds; what they give is what limits they meet."""


def cases(scorers: list[str]) -> Iterator[tuple[str, Question, str]]:
    for scorer in scorers:
        for table in TABLES.get(scorer, ()):
            for theme, rows in table.items():
                for number, (gold, response) in enumerate(rows):
                    if theme != EXPENSIVE:
                        yield f"{theme}-{number}", Question(prompt="?", verifier=scorer, ground_truth=gold), response
    for file in sorted(CASES.glob("*.jsonl")):
        for line in file.read_text().splitlines():
            case = json.loads(line)
            if case["scorer"] in scorers:
                question = Question(
                    prompt=case["prompt"],
                    verifier=case["scorer"],
                    ground_truth=case["reference"] or None,
                    options=case["options"],
                )
                yield case["id"], question, case["response"]


def main() -> None:
    scorers, order = sys.argv[1].split(","), sys.argv[2]
    found = list(cases(scorers))
    for name, question, response in found if order == "forwards" else reversed(found):
        verifier = load_verifier(question.verifier)
        if isinstance(verifier, Configured):
            verifier.configure(RtvSettings())
        verdict = verifier.verify(question, response)
        print(json.dumps([question.verifier, name, verdict.score, verdict.status, verdict.why]))


if __name__ == "__main__":
    main()
