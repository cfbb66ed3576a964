"""The prompts of a laboratory run: what it may train on and what it is measured on, as files that are ingested.

Invariants
- Both are a function of (composition, seed), and each row's source names its rung and kind, so that the true difficulty
  of every prompt that was dispatched is known afterwards.
- The hash of a prompt says whether it is held out, original or new, so it is the same in every run, and runs of many
  seeds share a database.
"""

import json
import random
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from infra.lab.ladder import DILIGENCE, RUNGS, Kind, Task, distinct, make_broken, make_coin, make_task

VERIFIER = "exact"
JUDGED = "-judged"
"""Ending of the domain of a held-out prompt's copy that the judge scores: the proxy, next to the true score."""
NEW, ORIGINAL = "new", "original"
BEST_OF = 4
_HELDOUT, _ORIGINAL, _NEW = range(3)


class Reward(StrEnum):
    VERIFIER = "verifier"
    TRUTH = "truth"
    """GenRM with the ground truth."""
    REFERENCE = "reference"
    """GenRM with a best-of-N reference: the first right one of N responses of the start, or a wrong one if all are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Composition:
    """What the pool holds, per domain."""

    rungs: tuple[int, ...] = (12, 12, 12, 10, 8, 7, 6, 5)
    """Sound prompts per rung, from the lowest; empty for none."""
    broken: int = 5
    """Prompts with a wrong reference, of the three lowest rungs."""
    coins: int = 3
    """Prompts whose answer was drawn by lot."""
    originals: tuple[int, ...] = ()
    """The same of origin `original`, which Pre-PPO does not select among; the others are `new`."""
    heldout: int = 5
    """Held-out prompts per rung."""
    domains: tuple[str, ...] = ("coding", "order", "counting")
    """The default are those in which the start is able to do most of the work."""
    reward: Reward = Reward.VERIFIER
    """What scores the prompts that are trained on. If it is a judge, the held-out ones are scored by both."""
    copies: bool = True
    """Whether the held-out prompts of a judged pool have copies that the judge scores. Without them, the cross-check
    can have it score the same responses."""

    @property
    def size(self) -> int:
        """Number of new prompts."""
        return len(self.domains) * (sum(self.rungs) + self.broken + self.coins)


@dataclass(frozen=True, slots=True)
class PromptFiles:
    train: Path
    heldout: Path


def write_pool(folder: Path, composition: Composition, seed: int) -> PromptFiles:
    folder.mkdir(parents=True, exist_ok=True)
    pool = PromptFiles(folder / "train.jsonl", folder / "heldout.jsonl")
    train, heldout = draw_pool(composition, seed)
    _write(pool.train, train)
    _write(pool.heldout, heldout)
    return pool


def draw_pool(composition: Composition, seed: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows to train on, and rows to measure on."""
    taken: set[str] = set()
    train: list[dict[str, Any]] = []
    heldout: list[dict[str, Any]] = []

    def draw_some(tasks: Iterator[Task], count: int, *classes: int) -> list[Task]:
        return distinct((task for task in tasks if _class_of(task.prompt) in classes), count, taken)

    def add(tasks: Iterable[Task], origin: str) -> None:
        train.extend(_row(task, composition.reward) | {"origin": origin} for task in tasks)

    new = (_NEW,) if composition.originals else (_NEW, _ORIGINAL)
    for domain in composition.domains:
        draw = random.Random(f"pool {seed} {domain}")
        for rung in range(1, RUNGS + 1):
            tasks = _sound(domain, rung, draw)
            measured = draw_some(tasks, composition.heldout, _HELDOUT)
            heldout += [_row(task, Reward.VERIFIER) for task in measured]
            if composition.reward is not Reward.VERIFIER and composition.copies:
                heldout += [_row(task, composition.reward) | {"domain": domain + JUDGED} for task in measured]
            if composition.rungs:
                add(draw_some(tasks, composition.rungs[rung - 1], *new), NEW)
            if composition.originals:
                add(draw_some(tasks, composition.originals[rung - 1], _ORIGINAL), ORIGINAL)
        add(draw_some(_broken(domain, draw), composition.broken, *new), NEW)
        add(draw_some(_coins(domain, draw), composition.coins, *new), NEW)
    return train, heldout


def _class_of(prompt: str) -> int:
    return zlib.crc32(prompt.encode()) % 3


def source_of(task: Task) -> str:
    return f"rung {task.rung} {task.kind}"


def rung_of(source: str) -> tuple[int, Kind]:
    """The rung and kind of a prompt, from its source."""
    _, rung, kind = source.split()
    return int(rung), Kind(kind)


def _row(task: Task, reward: Reward) -> dict[str, Any]:
    row: dict[str, Any] = {
        "domain": task.domain,
        "prompt": task.prompt,
        "source": source_of(task),
        "options": {"must_finish": True},
    }
    match reward:
        case Reward.VERIFIER:
            return row | {"ground_truth": task.answer, "verifier": VERIFIER}
        case Reward.TRUTH:
            return row | {"ground_truth": task.answer}
        case Reward.REFERENCE:
            return row | {"references": [best_of(task)]}


def best_of(task: Task) -> str:
    """What a perfect picker finds among BEST_OF responses of the start to the prompt."""
    if task.kind is not Kind.SOUND:
        return task.answer
    draw = random.Random(f"reference {task.prompt}")
    return task.answer if any(draw.random() < DILIGENCE[task.rung - 1] for _ in range(BEST_OF)) else task.short_cut


def _sound(domain: str, rung: int, draw: random.Random) -> Iterator[Task]:
    while True:
        yield make_task(domain, rung, draw)


def _broken(domain: str, draw: random.Random) -> Iterator[Task]:
    while True:
        yield make_broken(domain, draw.randint(1, 3), draw)


def _coins(domain: str, draw: random.Random) -> Iterator[Task]:
    while True:
        yield make_coin(domain, draw)


def _write(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
