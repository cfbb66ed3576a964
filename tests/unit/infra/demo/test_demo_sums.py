import json

import pytest

from infra.demo.draw_sums import DIGITS, FILE, draw


@pytest.mark.parametrize("digits", DIGITS)
def test_the_shipped_sums_are_what_the_generator_draws(digits: int) -> None:
    pytest.importorskip("reasoning_gym", reason="infra/requirements/puzzles.txt is not installed")
    assert draw(digits) == json.loads(FILE.read_text(encoding="utf-8"))[str(digits)]
