"""A pattern that is tried only where its words are finds what it finds everywhere, on every response of the cases."""

import json
from pathlib import Path

import pytest

from workers.verifiers.answers import corrections, retractions, statements
from workers.verifiers.answers.scan import Keyed, Scan

CASES = Path(__file__).parents[1] / "cases"
TEXTS = [
    json.loads(line)["response"] for file in sorted(CASES.glob("*.jsonl")) for line in file.read_text().splitlines()
]
KEYED = {name: found for name, found in vars(retractions).items() if isinstance(found, Keyed)}
SCANS = {
    name: found for room in (corrections, statements) for name, found in vars(room).items() if isinstance(found, Scan)
}


@pytest.mark.parametrize("keyed", KEYED.values(), ids=KEYED)
def test_a_text_without_the_words_has_no_match(keyed: Keyed) -> None:
    found = [any(pattern.search(text) for pattern, _ in keyed.patterns) for text in TEXTS]
    assert [keyed.is_in(text) for text in TEXTS] == found
    assert any(found)


@pytest.mark.parametrize("scan", SCANS.values(), ids=SCANS)
@pytest.mark.parametrize("start", [0, 7])
def test_the_matches_are_those_of_the_pattern(scan: Scan, start: int) -> None:
    found = [[match.span() for match in scan.pattern.finditer(text, start)] for text in TEXTS]
    assert [[match.span() for match in scan.matches(text, start)] for text in TEXTS] == found
    assert any(found)
