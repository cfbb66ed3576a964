"""Puzzles whose grid is filled in.

Invariant: every filling that keeps the clues and the rules is right.
"""

import math
import re
from collections import Counter
from itertools import combinations
from typing import Any

import msgspec

from workers.verifiers.puzzle.checking import Checker
from workers.verifiers.puzzle.forms import FormError, integer_grid, lines

Grid = tuple[tuple[int, ...], ...]

_FUTOSHIKI_SIGNS = re.compile(r"[<>∧∨^v\s]+")


class Queens(msgspec.Struct):
    puzzle: list[list[str]]


class Clues(msgspec.Struct):
    puzzle: list[list[int]]
    """0 for each cell that is to be filled."""


class Futoshiki(msgspec.Struct):
    puzzle: list[list[int]]
    constraints: list[tuple[int, int, int, int, str]]
    """Row and column of one cell, row and column of another, and the sign between them."""


class Survo(msgspec.Struct):
    puzzle: list[list[int]]
    candidate_numbers: list[int]


class Kakurasu(msgspec.Struct):
    row_sums: list[int]
    col_sums: list[int]


def n_queens(answer: str, facts: Queens) -> str | None:
    rows = ["".join(row.split()) for row in lines(answer)]
    size = len(facts.puzzle)
    if len(rows) != size or any(len(row) != size or set(row) - {"Q", "_"} for row in rows):
        raise FormError(f"expected {size} rows of {size} cells, each Q or _")
    queens = [(row, column) for row, text in enumerate(rows) for column, cell in enumerate(text) if cell == "Q"]
    given = {
        (row, column) for row, cells in enumerate(facts.puzzle) for column, cell in enumerate(cells) if cell == "Q"
    }
    if not given <= set(queens):
        return "a given queen was moved"
    if len(queens) != size:
        return f"{len(queens)} queens are not {size}"
    attacked = any(_attack_each_other(one, other) for one, other in combinations(queens, 2))
    return "two queens attack each other" if attacked else None


def _attack_each_other(one: tuple[int, int], other: tuple[int, int]) -> bool:
    down, across = abs(one[0] - other[0]), abs(one[1] - other[1])
    return 0 in (down, across) or down == across


def sudoku(answer: str, facts: Clues) -> str | None:
    grid = _read_filling(answer, facts.puzzle)
    size = len(grid)
    box = math.isqrt(size)
    boxes = [
        tuple(grid[top + row][left + column] for row in range(box) for column in range(box))
        for top in range(0, size, box)
        for left in range(0, size, box)
    ]
    return _find_changed_clue(grid, facts.puzzle) or _find_repetition(grid, [*grid, *zip(*grid, strict=True), *boxes])


def futoshiki(answer: str, facts: Futoshiki) -> str | None:
    rows = [row for row in lines(answer) if not _FUTOSHIKI_SIGNS.fullmatch(row)]
    grid = _read_filling("\n".join(re.sub(r"[<>]", " ", row) for row in rows), facts.puzzle)
    fault = _find_changed_clue(grid, facts.puzzle) or _find_repetition(grid, [*grid, *zip(*grid, strict=True)])
    broken = any(
        not (grid[row][column] > grid[other_row][other_column])
        if sign == ">"
        else not (grid[row][column] < grid[other_row][other_column])
        for row, column, other_row, other_column, sign in facts.constraints
    )
    return fault or ("an inequality does not hold" if broken else None)


def survo(answer: str, facts: Survo) -> str | None:
    grid = _read_filling(answer, facts.puzzle)
    placed = Counter(
        cell
        for row, clues in zip(grid, facts.puzzle, strict=True)
        for cell, clue in zip(row, clues, strict=True)
        if not clue
    )
    if fault := _find_changed_clue(grid, facts.puzzle):
        return fault
    if placed != Counter(facts.candidate_numbers):
        return "the numbers placed are not those to place"
    fits = all(sum(part[:-1]) == part[-1] for part in [*grid, *zip(*grid, strict=True)])
    return None if fits else "a sum does not fit"


def kakurasu(answer: str, facts: Kakurasu) -> str | None:
    grid = integer_grid(answer)
    if len(grid) != len(facts.row_sums) or any(len(row) != len(facts.col_sums) for row in grid):
        raise FormError(f"expected {len(facts.row_sums)} rows of {len(facts.col_sums)} cells")
    if {cell for row in grid for cell in row} - {0, 1}:
        raise FormError("expected cells of 0 and 1")
    rows, columns = [_weigh(row) for row in grid], [_weigh(column) for column in zip(*grid, strict=True)]
    return None if (rows, columns) == (facts.row_sums, facts.col_sums) else "a weighted sum does not fit"


def _weigh(cells: tuple[int, ...]) -> int:
    return sum(place * cell for place, cell in enumerate(cells, start=1))


def _read_filling(answer: str, puzzle: list[list[int]]) -> Grid:
    """Reads the grid. Raises FormError unless it has the puzzle's shape."""
    grid = integer_grid(answer)
    if [len(row) for row in grid] != [len(row) for row in puzzle]:
        raise FormError(f"expected {len(puzzle)} rows of {len(puzzle[0])} whole numbers")
    return grid


def _find_changed_clue(grid: Grid, puzzle: list[list[int]]) -> str | None:
    kept = all(
        not clue or clue == cell
        for row, clues in zip(grid, puzzle, strict=True)
        for cell, clue in zip(row, clues, strict=True)
    )
    return None if kept else "a clue was changed"


def _find_repetition(grid: Grid, groups: list[tuple[int, ...]]) -> str | None:
    whole = set(range(1, len(grid) + 1))
    return None if all(set(group) == whole for group in groups) else "a number comes twice, or is out of range"


GRIDS: dict[str, Checker[Any]] = {
    "n_queens": Checker(
        "the board, rows of Q and _, with the given queens and as many queens as rows", Queens, n_queens
    ),
    "sudoku": Checker("the filled grid, one row per line", Clues, sudoku),
    "mini_sudoku": Checker("the filled grid, one row per line", Clues, sudoku),
    "futoshiki": Checker("the filled grid, one row per line, with or without the signs", Futoshiki, futoshiki),
    "survo": Checker("the filled grid with its sums, one row per line", Survo, survo),
    "kakurasu": Checker("the grid of 0 and 1, one row per line", Kakurasu, kakurasu),
}
