"""The demo's prompts as tasks and as rows: the original set, new candidates for Pre-PPO, and the held-out set.

Invariant: the prompts depend on `splits.SEED` and the data alone, so runs with different seeds are compared on the same
prompts. In training the judge (GenRM) scores reading and writing; on held-out prompts a verifier scores every domain.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain, zip_longest
from typing import Any

from infra.demo.measure import VERIFIERS
from infra.demo.number_tasks import number_tasks
from infra.demo.passages import passages
from infra.demo.splits import SEED, Split, topics
from infra.demo.tasks import (
    CORE_FORMATS,
    INSTRUCTIONS,
    MATHEMATICS,
    WRITING_PROMPTS,
    DemoTask,
    instruction,
    reading,
    writing,
)

Row = dict[str, Any]

_CORE_READING = {"what_2": 12, "what_3": 12, "who_2": 12, "who_3": 12, "what_4": 6, "who_4": 6}
_NEW_READING = {
    "what_2": 12, "what_3": 12, "who_2": 12, "who_3": 12, "what_4": 8, "who_4": 8, "who_6": 4,
}  # fmt: skip
_HELDOUT_READING = {"what_2": 10, "what_3": 10, "who_2": 10, "who_3": 10, "what_4": 4, "who_4": 4}
_CORE_NUMBERS = {"next": 18, "sequence": 18, "sum": 14, "digits": 6}
_NEW_NUMBERS = {
    "next": 10, "sequence": 10, "digits": 8, "larger": 8, "smaller": 8, "story": 10, "difference": 8, "long_sum": 6,
}  # fmt: skip
_HELDOUT_NUMBERS = {"next": 18, "sequence": 13, "sum": 11, "digits": 6}
_NEW_FORMATS = dict.fromkeys(CORE_FORMATS, 10) | {"honestly": 8, "capitals": 6, "five_words": 8}
_ORIGINAL = {"instructions": 60, "writing": 48}
_NEW_WRITING, _BROKEN = 32, 6
_BREAKABLE = {"digits": "7", "what_2": "Antarctica", "who_2": "Nobody"}
"""Wrong references by kind of prompt; the model is mostly right on these kinds."""
HELDOUT = 48
"""Held-out prompts per domain. With 4 samples each, the standard error is about 0.04."""
_OPTIONS = {"must_finish": True}
SOURCE_BROKEN = "deliberately wrong reference"


def original_tasks() -> list[DemoTask]:
    return [
        *_number_tasks(Split.TRAIN, _CORE_NUMBERS),
        *_instruction_tasks(Split.TRAIN, CORE_FORMATS, _ORIGINAL["instructions"]),
        *_reading_tasks(Split.TRAIN, _CORE_READING),
        *_writing_tasks(Split.TRAIN, _ORIGINAL["writing"]),
    ]


def new_tasks() -> list[DemoTask]:
    """Returns candidates for Pre-PPO: most resemble the originals, some are trivial, some are too hard for the model,
    and some have a wrong reference.
    """
    sound = [
        *_number_tasks(Split.NEW, _NEW_NUMBERS),
        *chain.from_iterable(_instruction_tasks(Split.NEW, (kind,), count) for kind, count in _NEW_FORMATS.items()),
        *_reading_tasks(Split.NEW, _NEW_READING),
        *_writing_tasks(Split.NEW, _NEW_WRITING),
    ]
    return [*_break_references(sound), *sound]


def heldout_tasks() -> list[DemoTask]:
    return [
        *_number_tasks(Split.HELDOUT, _HELDOUT_NUMBERS),
        *_instruction_tasks(Split.HELDOUT, CORE_FORMATS, HELDOUT),
        *_reading_tasks(Split.HELDOUT, _HELDOUT_READING),
        *_writing_tasks(Split.HELDOUT, HELDOUT),
    ]


def build_prompts(references: Mapping[str, Sequence[str]]) -> tuple[list[Row], list[Row]]:
    """Returns (training rows, held-out rows) to ingest. `references` maps each writing prompt of the training set to
    its best-of-N, best first. Raises KeyError if one is missing.
    """
    train = [_training_row(task, "original", references) for task in original_tasks()]
    train += [_training_row(task, "new", references) for task in new_tasks()]
    return train, [heldout_row(task) for task in heldout_tasks()]


def _training_row(task: DemoTask, origin: str, references: Mapping[str, Sequence[str]]) -> Row:
    by_verifier = task.domain in {MATHEMATICS, INSTRUCTIONS}
    row = _row(task, "train", origin)
    if by_verifier:
        row |= {"verifier": VERIFIERS[task.domain], "options": row["options"] | task.options}
    elif task.ground_truth is None:
        row |= {"references": list(references[task.prompt])}
    return row


def heldout_row(task: DemoTask) -> Row:
    return _row(task, "heldout", "original") | {
        "verifier": VERIFIERS[task.domain],
        "options": _OPTIONS | task.options,
    }


def _row(task: DemoTask, split: str, origin: str) -> Row:
    return {
        "domain": task.domain,
        "messages": [{"role": "user", "content": task.prompt}],
        "ground_truth": task.ground_truth,
        "options": _OPTIONS,
        "split": split,
        "origin": origin,
        "source": f"demo/{task.kind}: {task.source}",
    }


def _number_tasks(split: Split, counts: Mapping[str, int]) -> Iterable[DemoTask]:
    for kind, count in counts.items():
        yield from number_tasks(split, kind)[:count]


def _instruction_tasks(split: Split, kinds: Sequence[str], count: int) -> list[DemoTask]:
    """Takes the kinds in turn; each goes through the split's topics in its own shuffled order."""
    decks = [[instruction(topic, kind) for topic in _shuffle(topics()[split], f"{split}:{kind}")] for kind in kinds]
    return _deal(decks, count)


def _reading_tasks(split: Split, counts: Mapping[str, int]) -> Iterable[DemoTask]:
    for kind, count in counts.items():
        yield from map(reading, passages(split, kind, count))


def _writing_tasks(split: Split, count: int) -> list[DemoTask]:
    decks = [
        [writing(topic, kind) for topic in _shuffle(topics()[split], f"{split}:{kind}")] for kind in WRITING_PROMPTS
    ]
    return _deal(decks, count)


def _break_references(sound: list[DemoTask]) -> list[DemoTask]:
    """Returns prompts with a wrong reference, and removes the sound tasks of the same prompts from `sound`. A model
    that knows the answer agrees with itself and never with such a reference, which Pre-PPO should notice.
    """
    found = []
    for task in [task for task in sound if task.kind in _BREAKABLE][::3][:_BROKEN]:
        sound.remove(task)
        found.append(replace(task, ground_truth=_BREAKABLE[task.kind], source=SOURCE_BROKEN))
    return found


def _shuffle(items: Sequence[Any], stream: str) -> list[Any]:
    return random.Random(f"{SEED}:{stream}").sample(list(items), len(items))


def _deal(decks: Sequence[Sequence[Any]], count: int) -> list[Any]:
    """Takes one item from each deck in turn until there are `count`."""
    turns = chain.from_iterable(zip_longest(*decks))
    return [item for item in turns if item is not None][:count]
