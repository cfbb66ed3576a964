"""Puzzles on graphs and boards: a colouring, a shortest path, the best move.

Invariant: if the question asks for the shortest or the most, every answer that reaches the optimum is right. Except
for the lock, whose shortest sequence is in the entry, the optimum is computed here from the entry.
"""

import re
from collections import deque
from collections.abc import Iterator
from typing import Any

import msgspec

from workers.verifiers.puzzle.checking import Checker, EntryError
from workers.verifiers.puzzle.forms import FormError, json_value, line, matched, nonempty_line

Cell = tuple[int, int]

_WAYS = {"up": (-1, 0), "down": (1, 0), "left": (0, -1), "right": (0, 1)}
_BUTTONS = re.compile(r"[A-Z](?:\s*(?:→|->|,|\s)\s*[A-Z])*")
_POINT = re.compile(r"([A-Z])(\d{1,2})", re.IGNORECASE)


class ColouringPuzzle(msgspec.Struct):
    vertices: list[int]
    edges: list[tuple[int, int]]
    color_options: list[int]


class Colouring(msgspec.Struct):
    puzzle: ColouringPuzzle


class Labyrinth(msgspec.Struct):
    matrix: list[list[str]]
    """`*` start, `#` goal, `O` open, `X` blocked."""


class Button(msgspec.Struct):
    name: str
    type: str
    value: int
    active_state: str


class Lock(msgspec.Struct):
    buttons: list[Button]
    initial_state: str
    initial_value: int
    target_value: int
    solution_path: list[str]
    """One of the shortest sequences."""


class Go(msgspec.Struct):
    board: list[list[str]]
    """`X` black, `O` white, `.` empty; the first row has the highest number."""


def graph_color(answer: str, facts: Colouring) -> str | None:
    colours = json_value(answer)
    if not isinstance(colours, dict) or not all(type(colour) is int for colour in colours.values()):
        raise FormError("expected a JSON map of vertices to colours")
    if set(colours) != {str(vertex) for vertex in facts.puzzle.vertices}:
        return "the vertices are not those of the graph"
    if not set(colours.values()) <= set(facts.puzzle.color_options):
        return "a colour is not one of those possible"
    clash = any(colours[str(one)] == colours[str(other)] for one, other in facts.puzzle.edges)
    return "an edge joins two vertices of one colour" if clash else None


def shortest_path(answer: str, facts: Labyrinth) -> str | None:
    steps = nonempty_line(answer).casefold().replace(",", " ").split()
    if not set(steps) <= set(_WAYS) and steps != ["infeasible"]:
        raise FormError("expected up, down, left and right, or infeasible")
    cells = {(row, column): cell for row, text in enumerate(facts.matrix) for column, cell in enumerate(text)}
    best = _shortest_distance(cells)
    if steps == ["infeasible"] or best is None:
        return None if best is None and steps == ["infeasible"] else "a path exists" if best else "there is no path"
    place = next(place for place, cell in cells.items() if cell == "*")
    for step in steps:
        place = (place[0] + _WAYS[step][0], place[1] + _WAYS[step][1])
        if cells.get(place, "X") == "X":
            return "it leaves the open cells"
    if cells[place] != "#":
        return "it does not end at #"
    return None if len(steps) == best else f"{len(steps)} steps are more than {best}"


def _shortest_distance(cells: dict[Cell, str]) -> int | None:
    """Returns the steps of a shortest path from * to #, or None if there is no path."""
    queue = deque((place, 0) for place, cell in cells.items() if cell == "*")
    seen = {place for place, _ in queue}
    while queue:
        (row, column), steps = queue.popleft()
        if cells[row, column] == "#":
            return steps
        for down, right in _WAYS.values():
            place = (row + down, column + right)
            if place not in seen and cells.get(place, "X") != "X":
                seen.add(place)
                queue.append((place, steps + 1))
    return None


def quantum_lock(answer: str, facts: Lock) -> str | None:
    presses = re.findall(r"[A-Z]", matched(_BUTTONS, answer, "buttons such as A → B → C").group())
    if len(presses) > len(facts.solution_path):
        return f"{len(presses)} presses are more than {len(facts.solution_path)}"
    buttons = {button.name: button for button in facts.buttons}
    value, light = facts.initial_value, facts.initial_state
    for press in presses:
        button = buttons.get(press)
        if button is None or button.active_state not in (light, "any"):
            return f"button {press} does not work there"
        value = {"add": value + button.value, "subtract": value - button.value, "multiply": value * button.value}[
            button.type
        ]
        light = "red" if light == "green" else "green"
    return None if value == facts.target_value else "the target is not reached"


def tsumego(answer: str, facts: Go) -> str | None:
    letter, number = matched(_POINT, line(answer), "a point such as C4").groups()
    place = (len(facts.board) - int(number), ord(letter.upper()) - ord("A"))
    board = {(row, column): cell for row, text in enumerate(facts.board) for column, cell in enumerate(text)}
    if board.get(place) != ".":
        return "the point is taken, or not on the board"
    most = max(_count_captured(board, empty) for empty, cell in board.items() if cell == ".")
    taken = _count_captured(board, place)
    if not most:
        raise EntryError("options.entry.metadata.board: no move captures anything")
    return None if taken == most else f"it captures {taken}, not {most}"


def _count_captured(board: dict[Cell, str], place: Cell) -> int:
    """Returns how many white stones black captures by playing at `place`."""
    played = board | {place: "X"}
    taken: set[Cell] = set()
    for stone in _neighbours(place):
        if played.get(stone) == "O" and stone not in taken:
            taken |= _find_captured_group(played, stone)
    return len(taken)


def _find_captured_group(board: dict[Cell, str], stone: Cell) -> set[Cell]:
    """Returns the stone's group if no empty point touches it, else an empty set."""
    group, edge = {stone}, [stone]
    while edge:
        for place in _neighbours(edge.pop()):
            if board.get(place) == ".":
                return set()
            if board.get(place) == board[stone] and place not in group:
                group.add(place)
                edge.append(place)
    return group


def _neighbours(place: Cell) -> Iterator[Cell]:
    return ((place[0] + down, place[1] + right) for down, right in _WAYS.values())


PATHS: dict[str, Checker[Any]] = {
    "graph_color": Checker(
        "a JSON map of vertices to colours; no edge joins two of one colour", Colouring, graph_color
    ),
    "shortest_path": Checker(
        "up, down, left and right along a shortest path; infeasible if there is none", Labyrinth, shortest_path
    ),
    "quantum_lock": Checker("a shortest sequence of buttons, such as A → B → C", Lock, quantum_lock),
    "tsumego": Checker("a point such as C4 that captures the most", Go, tsumego),
}
