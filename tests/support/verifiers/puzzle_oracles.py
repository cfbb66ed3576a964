"""Right answers of reasoning-gym's entries, also where the generator gives none."""

import json
from collections import deque
from collections.abc import Mapping
from typing import Any

Cells = frozenset[tuple[int, int]]


def oracle(dataset: str, entry: Mapping[str, Any]) -> str:
    metadata = entry["metadata"]
    if dataset == "graph_color":
        return json.dumps(metadata["possible_answer"])
    if dataset == "rubiks_cube":
        return metadata["example_correct_answer"]
    if dataset == "rush_hour":
        return solve_rush_hour(metadata["board_config"])
    return str(entry["answer"])


def solve_rush_hour(board: str) -> str:
    """Breadth first, one cell a move; boards of a few moves only."""
    cars = {
        chr(ord("A") + index): frozenset(divmod(place, 6) for place, cell in enumerate(board) if cell == label)
        for index, label in enumerate(sorted(set(board) - set("ox")))
    }
    walls = {divmod(place, 6) for place, cell in enumerate(board) if cell == "x"}
    names = sorted(cars)
    start = tuple(cars[name] for name in names)
    queue: deque[tuple[tuple[Cells, ...], str]] = deque([(start, "")])
    seen = {start}
    while queue:
        state, moves = queue.popleft()
        if (2, 5) in state[0]:
            return moves.strip()
        for index, cells in enumerate(state):
            upright = len({column for _, column in cells}) == 1
            others = walls.union(*(state[:index] + state[index + 1 :]))
            for step, sign in ((1, "+1"), (-1, "-1")):
                moved = frozenset((row + step, column) if upright else (row, column + step) for row, column in cells)
                if moved & others or not all(0 <= place < 6 for cell in moved for place in cell):
                    continue
                after = (*state[:index], moved, *state[index + 1 :])
                if after not in seen:
                    seen.add(after)
                    queue.append((after, f"{moves} {names[index]}{sign}"))
    raise ValueError(f"{board} has no solution")
