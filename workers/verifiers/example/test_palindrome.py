"""The example's own test: `pytest workers/verifiers/example`."""

import pytest
from palindrome import PalindromeVerifier

from streams.messages import Question, Status


@pytest.mark.parametrize(
    ("response", "score"),
    [
        ("A man, a plan, a canal: Panama!", 1.0),
        ("<think>Racecar? No.</think>Level.", 1.0),
        ("Hello.", 0.0),
        ("", 0.0),
        ("!!!", 0.0),
        ("<think>level</think>", 0.0),
    ],
)
def test_verdicts(response: str, score: float) -> None:
    assert PalindromeVerifier().verify(Question(prompt="Write a palindrome."), response).score == score


def test_a_wrong_option_is_no_reward() -> None:
    found = PalindromeVerifier().verify(Question(prompt="?", options={"min_letters": 0}), "level")
    assert (found.score, found.status) == (None, Status.INFRA_ERROR)
