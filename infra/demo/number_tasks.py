"""Number tasks of one split, drawn without replacement from all tasks that belong to the split.

Sums and differences come from reasoning-gym's chain_sum generator (`draw_sums.py`), so that they are those of a public
task.
"""

import json
import random
from collections.abc import Callable, Iterable, Iterator
from functools import cache

from infra.demo import tasks
from infra.demo.draw_sums import FILE
from infra.demo.splits import SEED, Split, chain_split, pair_split
from infra.demo.tasks import DemoTask

LARGEST = 99


def number_tasks(split: Split, kind: str) -> list[DemoTask]:
    """Returns all tasks of the kind in the split, shuffled with the fixed seed. Raises KeyError on an unknown kind."""
    found = list(_KINDS[kind](split))
    random.Random(f"{SEED}:{kind}").shuffle(found)
    return found


def _comparison_tasks(split: Split, make: Callable[[int, int], DemoTask]) -> Iterator[DemoTask]:
    rng = random.Random(SEED)
    for first in range(1, LARGEST + 1):
        for second in rng.sample(range(1, LARGEST + 1), 12):
            if first != second and pair_split(first, second) is split:
                yield make(first, second)


def _list_chains() -> Iterator[range]:
    """Yields arithmetic progressions of four numbers."""
    for step in (1, 2, 3, 5, 10):
        for start in range(1, LARGEST - 3 * step):
            yield range(start, start + 4 * step, step)


@cache
def _chain_sums(digits: int) -> tuple[tuple[int, str, int], ...]:
    expressions: list[str] = json.loads(FILE.read_text(encoding="utf-8"))[str(digits)]
    found = [expression.split() for expression in expressions]
    return tuple((int(first), sign, int(second)) for first, sign, second in found)


def _arithmetic_tasks(split: Split, digits: int, sign: str) -> Iterator[DemoTask]:
    make = tasks.total if sign == "+" else tasks.difference
    for first, drawn_sign, second in _chain_sums(digits):
        if drawn_sign == sign and first >= second * (sign == "-") and pair_split(first, second) is split:
            yield make(first, second)


_KINDS: dict[str, Callable[[Split], Iterable[DemoTask]]] = {
    "larger": lambda split: _comparison_tasks(split, tasks.larger),
    "smaller": lambda split: _comparison_tasks(split, tasks.smaller),
    "next": lambda split: (tasks.following(n) for n in range(1, LARGEST) if pair_split(n, n + 1) is split),
    "previous": lambda split: (tasks.preceding(n) for n in range(2, LARGEST + 1) if pair_split(n - 1, n) is split),
    "digits": lambda split: (tasks.digits(n) for n in range(1, LARGEST + 1) if pair_split(n, n) is split),
    "sequence": lambda split: (tasks.sequence(chain) for chain in _list_chains() if chain_split(chain) is split),
    "sum": lambda split: _arithmetic_tasks(split, 1, "+"),
    "difference": lambda split: _arithmetic_tasks(split, 1, "-"),
    "long_sum": lambda split: _arithmetic_tasks(split, 2, "+"),
    "long_difference": lambda split: _arithmetic_tasks(split, 2, "-"),
    "story": lambda split: (
        tasks.story(first, second)
        for first in range(1, 20)
        for second in range(1, 10)
        if pair_split(first, second) is split
    ),
}
