"""Compares two results: as multisets of rows, or as sequences as far as the right one is ordered.

Invariant: values are compared by type and value. A whole number and a float are equal if SQLite considers them equal
(1 = 1.0), floats within TOLERANCE; a text is never a number, a blob never a text, and NULL equals NULL only.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

TOLERANCE = 1e-9
"""Largest difference of equal floats, relative and absolute: sums in another order differ by less, ROUND(x, 2) by more.
"""
_DIGITS = 7
"""Significant digits by which rows with floats are matched before they are compared."""
_MOST_LEFT = 500
"""Most rows without an equal partner that are matched one by one."""

Value = int | float | str | bytes | None
Row = tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Result:
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def same_value(one: Value, other: Value) -> bool:
    if isinstance(one, float) or isinstance(other, float):
        if not (isinstance(one, int | float) and isinstance(other, int | float)):
            return False
        return one == other or math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    return type(one) is type(other) and one == other


def same_row(one: Row, other: Row) -> bool:
    return len(one) == len(other) and all(map(same_value, one, other))


def same_rows(one: Sequence[Row], other: Sequence[Row]) -> bool:
    """Compares two results as multisets of rows."""
    if len(one) != len(other):
        return False
    if any(isinstance(value, float) for row in (*one, *other) for value in row):
        return _match_rows(list(one), list(other))
    return Counter(map(_key, one)) == Counter(map(_key, other))


def _match_rows(one: list[Row], other: list[Row]) -> bool:
    """Compares pairwise after sorting by the first digits; searches a partner for each row that rounding has
    displaced.
    """
    one, other = sorted(one, key=_sort_key), sorted(other, key=_sort_key)
    left = [(a, b) for a, b in zip(one, other, strict=True) if not same_row(a, b)]
    if len(left) > _MOST_LEFT:
        return False
    partners = [b for _, b in left]
    for row, _ in left:
        place = next((index for index, partner in enumerate(partners) if same_row(row, partner)), None)
        if place is None:
            return False
        del partners[place]
    return True


def tie_groups(forwards: Sequence[Row], backwards: Sequence[Row], *, keys_shown: bool) -> list[int]:
    """Returns the ends of the shortest runs of rows that are the same in both: within a run, ORDER BY leaves the order
    open.

    If the keys of the order are among the columns, two equal rows are in one run with all rows between them.
    """
    last = {_key(row): place for place, row in enumerate(forwards)} if keys_shown else {}
    balance: Counter[tuple[object, ...]] = Counter()
    ends, unequal, reach = [], 0, 0
    for place, (one, other) in enumerate(zip(forwards, backwards, strict=True)):
        for row, step in ((one, 1), (other, -1)):
            key = _key(row)
            unequal -= balance[key] != 0
            balance[key] += step
            unequal += balance[key] != 0
        reach = max(reach, last.get(_key(one), place))
        if not unequal and reach <= place:
            ends.append(place + 1)
    return ends


def same_order(rows: Sequence[Row], gold: Sequence[Row], ends: Sequence[int]) -> bool:
    """Compares run by run; `ends` comes from `tie_groups`."""
    starts = [0, *ends]
    return len(rows) == len(gold) and all(
        same_rows(rows[start:end], gold[start:end]) for start, end in zip(starts, ends, strict=False)
    )


def _key(row: Row) -> tuple[object, ...]:
    """Returns a key that is equal for equal rows; the type's name distinguishes 1 from '1'."""
    return tuple(
        ("number", _round_float(value)) if isinstance(value, int | float) else (type(value).__name__, value)
        for value in row
    )


def _round_float(value: float) -> float:
    """Rounds a float to _DIGITS; leaves a whole number as it is, so that large ones stay distinct."""
    if isinstance(value, int) or not math.isfinite(value):
        return value
    return float(f"{value:.{_DIGITS}g}")


def _sort_key(row: Row) -> list[tuple[str, float, str]]:
    return [
        ("number", _approximate(value), "")
        if isinstance(value, int | float)
        else (type(value).__name__, 0.0, value.hex() if isinstance(value, bytes) else str(value))
        for value in row
    ]


def _approximate(value: float) -> float:
    try:
        return float(f"{float(value):.{_DIGITS}g}")
    except OverflowError:  # SQLite's whole numbers have 64 bits; this one comes from a reference's JSON
        return math.inf if value > 0 else -math.inf
