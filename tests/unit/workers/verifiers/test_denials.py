"""An answer that its writer denies, supposes, doubts, asks, ascribes to others or takes back earns nothing."""

import pytest

from streams.messages import Question
from workers.verifiers.registry import load_verifier

ANSWERS = {
    "math": ("7", "7", {}),
    "quantity": ("5 km", "5 km", {}),
    "exact": ("Paris", "Paris", {"extract": "final"}),
    "set": ("1,2", "{1,2}", {}),
    "choice": ("B", "B", {}),
}

DISOWNED = [
    "I doubt the answer is {}",
    "It is false that the answer is {}",
    "It is unlikely that the answer is {}.",
    "I don't think the answer is {}",
    "If the answer is {}",
    "Unless the answer is {}, I lose.",
    "Suppose the answer is {}",
    "Whether the answer is {} is unclear.",
    "Nobody would say the answer is {}",
    "Some say the answer is {}",
    "The wrong answer is {}",
    "My incorrect answer is {}",
    "The previous answer was {}",
    "The answer is never {}",
    "The answer is certainly not {}",
    "The answer isn't {}",
    "The answer is far from {}",
    "The answer is anything but {}",
    "The answer: {}?",
    "The answer is {}. That is wrong.",
    "The answer is {}. Oh no, that was a mistake.",
    "The answer is {}. No, scratch that.",
    "The answer is {}. I have made a mistake.",
]

OWNED = [
    "There is no doubt the answer is {}.",
    "The other one is wrong so the answer is {}",
    "It cannot be less than that, so the answer is {}.",
    "Some are false, hence the answer is {}",
    "If we add them up, the answer is {}.",
    "The answer is {}. Others give something else, and that is wrong.",
    "The answer is {}. I was wrong to hesitate.",
    "Therefore the answer is {}. Never mind the rest.",
]


def score(name: str, text: str) -> float | None:
    gold, _, options = ANSWERS[name]
    return (
        load_verifier(name).verify(Question(prompt="Q", ground_truth=gold, verifier=name, options=options), text).score
    )


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize("boxed", [False, True])
@pytest.mark.parametrize(("text", "right"), [*((text, 0.0) for text in DISOWNED), *((text, 1.0) for text in OWNED)])
def test_only_an_answer_that_its_writer_stands_by_counts(name, boxed, text, right):
    answer = ANSWERS[name][1]
    assert score(name, text.format(f"$\\boxed{{{answer}}}$" if boxed else answer)) == right
