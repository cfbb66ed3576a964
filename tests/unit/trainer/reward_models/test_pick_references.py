"""The best of N: by score, with content, not cut off, and the same every time."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.reward_models.pick_references import ScoredResponse, pick_references

PROMPT = "Describe the sea."


def said(text: str, score: float, number: int = 0, *, cut_off: bool = False) -> ScoredResponse:
    return ScoredResponse(f"run:1/{number}", text, score, cut_off)


def texts(responses: list[ScoredResponse], keep: int = 3) -> list[str]:
    return [one.text for one in pick_references(PROMPT, responses, keep)]


def test_the_highest_score_is_first() -> None:
    assert texts([said("low", 0.1, 0), said("high", 0.9, 1), said("middle", 0.5, 2)]) == ["high", "middle", "low"]
    assert texts([said("low", 0.1), said("high", 0.9, 1)], keep=1) == ["high"]


def test_what_was_cut_off_comes_last_whatever_its_score() -> None:
    assert texts([said("half of", 0.9, cut_off=True), said("whole.", 0.1, 1)]) == ["whole.", "half of"]


@pytest.mark.parametrize("text", ["", " ", ":", "...", "Solution", "Describe the sea.", "<think>Waves. Blue."])
def test_what_has_no_content_is_no_reference(text: str) -> None:
    assert texts([said(text, 0.9), said("Waves.", 0.1, 1)]) == ["Waves."]
    assert texts([said(text, 0.9)]) == []


def test_a_text_is_one_reference() -> None:
    assert texts([said("Waves.", 0.9), said(" Waves.\n", 0.8, 1), said("Foam.", 0.1, 2)]) == ["Waves.", "Foam."]


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 3), st.booleans()), max_size=12), st.integers(1, 4))
def test_the_pick_does_not_depend_on_the_order_of_the_responses(drawn, keep) -> None:
    responses = [said(text * 3, score / 3, number, cut_off=cut) for number, (text, score, cut) in enumerate(drawn)]
    shuffled = random.Random(1).sample(responses, len(responses))
    assert pick_references(PROMPT, responses, keep) == pick_references(PROMPT, shuffled, keep)
