"""SFT examples of the demo: prompts of the SFT split with answers in the wanted form.

The model takes its style from these examples, so every sentence is written by hand and none is used twice for one
prompt.
"""

import random
from collections.abc import Iterator

from infra.demo.number_tasks import number_tasks
from infra.demo.passages import passages
from infra.demo.splits import SEED, Split, load, topics
from infra.demo.tasks import CORE_FORMATS, FORMATS, WRITING_PROMPTS, DemoTask, instruction, reading, writing
from trainer.supervised.sft import SFTExample

_NUMBER_KINDS = {"sum": 15, "story": 8, "larger": 12, "next": 12, "digits": 12, "sequence": 12}
_READING_KINDS = {"what_2": 12, "what_3": 12, "who_2": 12, "who_3": 12}
"""Largest number of examples per kind."""


def sft_examples() -> list[SFTExample]:
    pairs = answered_tasks()
    random.Random(SEED).shuffle(pairs)
    return [SFTExample(({"role": "user", "content": task.prompt},), answer) for task, answer in pairs]


def sft_tasks() -> list[DemoTask]:
    """The tasks behind `sft_examples`; a test proves with them that no held-out task was trained on."""
    return [task for task, _ in answered_tasks()]


def answered_tasks() -> list[tuple[DemoTask, str]]:
    """Returns each task of the SFT split with its answer."""
    return [*_number_tasks(), *_reading_tasks(), *_sentence_tasks()]


def _number_tasks() -> Iterator[tuple[DemoTask, str]]:
    for kind, most in _NUMBER_KINDS.items():
        for task in number_tasks(Split.SFT, kind)[:most]:
            yield task, task.ground_truth or ""


def _reading_tasks() -> Iterator[tuple[DemoTask, str]]:
    for kind, most in _READING_KINDS.items():
        for passage in passages(Split.SFT, kind, most):
            yield reading(passage), passage.answer


def _sentence_tasks() -> Iterator[tuple[DemoTask, str]]:
    written = load("sentences.json")
    plain = [kind for kind in CORE_FORMATS if kind != "question"]
    for number, topic in enumerate(topics()[Split.SFT]):
        entry = written[topic.name]
        for kind in list(WRITING_PROMPTS)[number % 2 :: 2]:
            yield writing(topic, kind), entry[kind]
        if number % 2:
            yield instruction(topic, "question"), entry["question"]
        for place, kind in enumerate(plain):
            sentence = entry["short"][(number + place) % 2]
            yield instruction(topic, kind), FORMATS[kind].apply(sentence)
