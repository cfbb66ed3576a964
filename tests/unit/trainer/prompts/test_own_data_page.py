"""Each row on the page about own data is of the format and gets the scorer that the page says."""

import json
import re
from pathlib import Path

from trainer.prompts.dataset import Defaults, parse_row
from trainer.prompts.scorer_names import scorer_name
from workers.verifiers.registry import verifier_names

PAGE = Path(__file__).parents[4] / "infra" / "docs" / "own-data.md"
_EXAMPLE = re.compile(
    r"\*\*(?P<format>[^*]+)\*\*(?:(?!\*\*|```).|\*\*)*?Scorer:[^`]*(?P<said>.*?)\n\n```json\n(?P<row>.*?)\n```",
    re.DOTALL,
)
OWN = "Rewardstream's own columns"


def test_every_example_of_the_page_is_what_it_says():
    defaults = Defaults(verifiers=tuple(verifier_names()))
    found = list(_EXAMPLE.finditer(PAGE.read_text(encoding="utf-8")))
    assert len(found) == PAGE.read_text(encoding="utf-8").count("```json")
    for example in found:
        row = parse_row(json.loads(example["row"]), defaults)
        scorer = re.findall(r"`([^`]+)`", example["said"])[-1]
        assert scorer_name(row.question) == scorer, example["format"]
        named = "rewardstream" if example["format"] == OWN else example["format"].lower()
        assert row.format.lower() == named, example["format"]
