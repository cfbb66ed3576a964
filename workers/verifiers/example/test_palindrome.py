"""The example's own test: `pytest workers/verifiers/example`."""

import pytest
from palindrome import PalindromeVerifier

from streams.messages import Question
from workers.verifiers.contract import Example, VerifierContract, asked

QUESTION = Question(prompt="Write a palindrome.")


class TestPalindrome(VerifierContract):
    verifier = PalindromeVerifier()
    question = QUESTION
    right = "Level."
    wrong_prompts = (
        asked(QUESTION, min_letters=0),
        asked(QUESTION, min_letters="five"),
        asked(QUESTION, min_letters=True),
    )
    policy = {  # noqa: RUF012  what a contract is given is read, never changed
        "The text after": [Example("A man, a plan, a canal: Panama!", 1.0), Example("Hello.", 0.0)],
        "It needs min_letters": [Example("aa", 0.0), Example("aa", 1.0, asked(QUESTION, min_letters=2))],
    }


@pytest.mark.parametrize("response", ["!!!", "<think>level</think>"])
def test_a_text_without_letters_is_none(response: str) -> None:
    assert PalindromeVerifier().verify(QUESTION, response).score == 0.0


def test_reasoning_does_not_count() -> None:
    assert PalindromeVerifier().verify(QUESTION, "<think>Racecar? No.</think>Level.").score == 1.0
