"""The demo's task templates: each makes a prompt, with its verifier's inputs, from a passage, a topic or a pair of
numbers.

Invariant: a task names in `keys` everything it draws on, so that a test can prove the splits disjoint.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from infra.demo.passages import Passage
from infra.demo.splits import WritingTopic

MATHEMATICS, INSTRUCTIONS, READING, WRITING = "mathematics", "instructions", "reading", "writing"
DOMAINS = (MATHEMATICS, INSTRUCTIONS, READING, WRITING)


@dataclass(frozen=True, slots=True)
class DemoTask:
    domain: str
    kind: str
    prompt: str
    keys: frozenset[str]
    """Words of passages, topics and number pairs that the prompt draws on: `pair:3:4`, `topic:rivers`, `word:soup`."""
    ground_truth: str | None = None
    topic: WritingTopic | None = None
    options: dict[str, Any] = field(default_factory=dict)
    """Options for the verifier that scores the task."""
    source: str = "hand-written"


def pair_key(first: int, second: int) -> str:
    low, high = sorted((first, second))
    return f"pair:{low}:{high}"


# Reading


def reading(passage: Passage) -> DemoTask:
    told = frozenset(f"word:{own.lower()}" for pair in passage.people for own in pair)
    return DemoTask(
        domain=READING,
        kind=passage.kind,
        prompt=f"{passage.text} {passage.question} Answer with one word.",
        keys=told,
        ground_truth=passage.answer,
        options={"ignore_articles": True},
        source="generated",
    )


# Mathematics

_NUMBER = "Answer with just the number."
_WHOLE = {"whole_answer": True}
_NAMES = ("Tom", "Anna", "Ben", "Maria", "Sam", "Lucy", "Omar", "Nina")
_THINGS = ("apples", "books", "coins", "pencils", "cards", "eggs", "stamps", "balls")
_ONES = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    *("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")


def in_words(number: int) -> str:
    """Spells a number from 0 to 99 in English."""
    if number < len(_ONES):
        return _ONES[number]
    tens, ones = divmod(number, 10)
    return _TENS[tens - 2] + (f"-{_ONES[ones]}" if ones else "")


def _number_task(kind: str, prompt: str, chain: Sequence[int], answer: int, source: str = "generated") -> DemoTask:
    """`chain`: the numbers of prompt and answer; the task draws on each pair of neighbours."""
    keys = frozenset(pair_key(first, second) for first, second in pairwise(chain))
    return DemoTask(MATHEMATICS, kind, f"{prompt} {_NUMBER}", keys, str(answer), None, _WHOLE, source)


def larger(first: int, second: int) -> DemoTask:
    return _number_task("larger", f"Which number is larger, {first} or {second}?", (first, second), max(first, second))


def smaller(first: int, second: int) -> DemoTask:
    return _number_task(
        "smaller", f"Which number is smaller, {first} or {second}?", (first, second), min(first, second)
    )


def following(number: int) -> DemoTask:
    return _number_task("next", f"What number comes right after {number}?", (number, number + 1), number + 1)


def preceding(number: int) -> DemoTask:
    return _number_task("previous", f"What number comes right before {number}?", (number - 1, number), number - 1)


def digits(number: int) -> DemoTask:
    return _number_task("digits", f"Write the number {in_words(number)} in digits.", (number, number), number)


def total(first: int, second: int) -> DemoTask:
    return _number_task(
        "sum", f"What is {first} + {second}?", (first, second), first + second, "reasoning-gym chain_sum"
    )


def difference(first: int, second: int) -> DemoTask:
    return _number_task(
        "difference", f"What is {first} - {second}?", (first, second), first - second, "reasoning-gym chain_sum"
    )


def sequence(chain: Sequence[int]) -> DemoTask:
    """The last number of `chain` is the answer."""
    prompt = f"Continue the list with one more number: {', '.join(map(str, chain[:-1]))}."
    return _number_task("sequence", prompt, chain, chain[-1])


def story(first: int, second: int) -> DemoTask:
    name, things = _NAMES[first % len(_NAMES)], _THINGS[second % len(_THINGS)]
    prompt = f"{name} has {first} {things} and gets {second} more. How many {things} does {name} have now?"
    return _number_task("story", prompt, (first, second), first + second)


# Instructions

ENDING = "That is all."
_SHORT = "Write one short sentence about {}."
_VETOES = {"forbid_echo": True, "forbid_repeats": True, "min_words": 3}
"""Without these options the policy learns to copy the prompt, which contains the required words."""


@dataclass(frozen=True, slots=True)
class Format:
    """An instruction: its prompt, its checker with arguments, and how to make a plain sentence follow it."""

    prompt: str
    checker: str
    arguments: dict[str, Any]
    apply: Callable[[str], str]
    allow: tuple[str, ...] = ()
    """Phrases of the prompt that the answer has to repeat."""


FORMATS: dict[str, Format] = {
    "lowercase": Format(f"{_SHORT} Use only lowercase letters.", "rewardstream:lowercase", {}, str.lower),
    "quotes": Format(
        f"{_SHORT} Put the whole answer in double quotes.", "startend:quotation", {}, lambda text: f'"{text}"'
    ),
    "ending": Format(
        f"{_SHORT} End your answer with the words: {ENDING}",
        "rewardstream:ends_with",
        {"text": ENDING},
        lambda text: f"{text} {ENDING}",
        (ENDING,),
    ),
    "exclamation": Format(
        f"{_SHORT} End it with an exclamation mark.",
        "rewardstream:ends_with",
        {"text": "!"},
        lambda text: text.removesuffix(".") + "!",
    ),
    "question": Format("Ask one short question about {}.", "rewardstream:one_question", {}, lambda text: text),
    "honestly": Format(
        f"{_SHORT} Begin your answer with the word Honestly.",
        "rewardstream:starts_with",
        {"text": "Honestly"},
        lambda text: f"Honestly, {text[0].lower()}{text[1:]}",
    ),
    "capitals": Format(f"{_SHORT} Use only capital letters.", "rewardstream:uppercase", {}, str.upper),
    "five_words": Format(
        "Describe {} in exactly five words.", "rewardstream:word_count", {"exactly": 5}, lambda text: text
    ),
}
CORE_FORMATS = ("lowercase", "quotes", "ending", "exclamation", "question")
"""Kinds that a 135M model can learn: after SFT it is right sometimes, but not always. The rest are candidates that
Pre-PPO decides on."""


def instruction(topic: WritingTopic, kind: str) -> DemoTask:
    form = FORMATS[kind]
    return DemoTask(
        domain=INSTRUCTIONS,
        kind=kind,
        prompt=form.prompt.format(topic.name),
        keys=frozenset({f"topic:{topic.name}"}),
        topic=topic,
        options=_VETOES
        | {
            "instruction_id_list": [form.checker, "keywords:existence"],
            "kwargs": [form.arguments, {"keywords": [topic.stem]}],
            "allow_phrases": [topic.name, *form.allow],
        },
    )


# Writing

WRITING_PROMPTS = {
    "vivid": "Describe {0} in one vivid sentence.",
    "reason": "Write one sentence about {0} that gives a reason.",
    "story": "Write the first sentence of a story about {0}.",
    "friend": "Tell a friend in one sentence why {0} {1} to you.",
}


def writing(topic: WritingTopic, kind: str) -> DemoTask:
    return DemoTask(
        domain=WRITING,
        kind=kind,
        prompt=WRITING_PROMPTS[kind].format(topic.name, topic.verb),
        keys=frozenset({f"topic:{topic.name}"}),
        topic=topic,
        options={"topic": topic.name},
    )
