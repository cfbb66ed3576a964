"""Puzzles that are solved by moves: the moves are played by the question's rules, and must reach the goal.

Invariant: a sequence is judged by what it reaches, not compared with the one that the generator found. It need not be
the shortest, since the questions do not ask for that. An illegal move is wrong, not skipped.
"""

import re
from typing import Any

import msgspec

from workers.verifiers.puzzle.checking import Checker
from workers.verifiers.puzzle.forms import FormError, json_list, line, lines, matched

MAX_MOVES = 10_000
"""Most moves that are played; far more than any sensible solution has."""

_HANOI = re.compile(r"move disk (\d{1,3}) from peg (\d{1,3}) to peg (\d{1,3})", re.IGNORECASE)
_JUG = re.compile(r"(fill|empty) ([A-Z])|pour ([A-Z]) ?-> ?([A-Z])")
_KNIGHT = re.compile(r"([wB]) ?, ?([A-Z]\d{1,2}) ?, ?([A-Z]\d{1,2})")
_STEPS = re.compile(r"[UDLR]+")
_SLIDE = re.compile(r"([A-Z])([+-])(\d)")
_DIRECTIONS = {"U": (-1, 0), "D": (1, 0), "L": (0, -1), "R": (0, 1)}


class Hanoi(msgspec.Struct):
    num_disks: int
    num_pegs: int
    start_peg: int
    target_peg: int


class JugPuzzle(msgspec.Struct):
    jug_capacities: list[int]
    target: int


class Jugs(msgspec.Struct):
    puzzle: JugPuzzle


class Knights(msgspec.Struct):
    board: dict[str, list[str]]
    """For each square, those that a knight's move leads to."""
    pieces: dict[str, str | None]
    start_turn: str
    is_possible: bool


class Sokoban(msgspec.Struct):
    gamestr: str


class RushHour(msgspec.Struct):
    board_config: str
    """36 cells, row by row; `o` is empty, `x` a wall."""


def tower_of_hanoi(answer: str, facts: Hanoi) -> str | None:
    moves = [
        matched(_HANOI, row, "lines of `Move disk X from Peg Y to Peg Z`").groups()
        for row in _check_count(lines(answer))
    ]
    tower = list(range(facts.num_disks, 0, -1))
    pegs: dict[int, list[int]] = {peg: [] for peg in range(1, facts.num_pegs + 1)}
    pegs[facts.start_peg] = tower.copy()
    for place, (disk, source, target) in enumerate(moves, start=1):
        origin, goal = pegs.get(int(source)), pegs.get(int(target))
        if origin is None or goal is None or origin[-1:] != [int(disk)] or (goal and goal[-1] < int(disk)):
            return f"move {place} is illegal"
        goal.append(origin.pop())
    return None if pegs[facts.target_peg] == tower else "the tower is not on the target peg"


def jugs(answer: str, facts: Jugs) -> str | None:
    sizes = {chr(ord("A") + index): size for index, size in enumerate(facts.puzzle.jug_capacities)}
    water = dict.fromkeys(sizes, 0)
    for move in _check_count(_read_texts(answer)):
        verb, jug, source, target = matched(_JUG, move, "fill A, empty A or pour A->B").groups()
        if not {jug, source, target} - {None} <= set(sizes) or (source and source == target):
            return f"{move!r} names an unknown jug, or one twice"
        if verb:
            water[jug] = sizes[jug] if verb == "fill" else 0
        else:
            amount = min(water[source], sizes[target] - water[target])
            water[source] -= amount
            water[target] += amount
    return None if facts.puzzle.target in water.values() else "no jug holds the target in the end"


def knight_swap(answer: str, facts: Knights) -> str | None:
    refused = line(answer).strip("\"'").casefold() == "no"
    if refused or not facts.is_possible:
        return None if refused and not facts.is_possible else f"a swap is {'' if facts.is_possible else 'not '}possible"
    moves = [matched(_KNIGHT, move, "moves such as w,A1,B3").groups() for move in _check_count(_read_texts(answer))]
    standing = {square: piece for square, piece in facts.pieces.items() if piece}
    swapped = {square: "w" if piece == "B" else "B" for square, piece in standing.items()}
    turn = facts.start_turn
    for place, (colour, source, target) in enumerate(moves, start=1):
        legal = (
            colour == turn == standing.get(source) and target in facts.board.get(source, ()) and target not in standing
        )
        if not legal:
            return f"move {place} is illegal"
        standing[target] = standing.pop(source)
        turn = "w" if turn == "B" else "B"
    return None if standing == swapped else "the knights are not swapped"


def sokoban(answer: str, facts: Sokoban) -> str | None:
    steps = matched(_STEPS, "".join(answer.split()), "a string of U, D, L and R").group()
    cells = {
        (row, column): cell
        for row, text in enumerate(facts.gamestr.replace(" ", "").split("\n"))
        for column, cell in enumerate(text)
    }
    walls = {place for place, cell in cells.items() if cell == "+"}
    goals = {place for place, cell in cells.items() if cell in "X$%"}
    boxes = {place for place, cell in cells.items() if cell in "@$"}
    (player,) = [place for place, cell in cells.items() if cell in "*%"] or [(0, 0)]
    for step in _check_count(list(steps)):
        player = _push(player, _DIRECTIONS[step], walls, boxes)
    return None if boxes <= goals else "a box is not on a goal"


def _push(
    player: tuple[int, int], step: tuple[int, int], walls: set[tuple[int, int]], boxes: set[tuple[int, int]]
) -> tuple[int, int]:
    """Returns the player's new position, and moves the box. A step against a wall, or against a box that cannot move,
    changes nothing.
    """
    ahead = (player[0] + step[0], player[1] + step[1])
    beyond = (ahead[0] + step[0], ahead[1] + step[1])
    if ahead in walls or (ahead in boxes and (beyond in walls or beyond in boxes)):
        return player
    if ahead in boxes:
        boxes.remove(ahead)
        boxes.add(beyond)
    return ahead


def rush_hour(answer: str, facts: RushHour) -> str | None:
    """Judges slides. The question shows the vehicles with new letters: A, B and so on, in the order of their
    letters.
    """
    moves = [matched(_SLIDE, move, "moves such as F+1 K-2").groups() for move in _check_count(answer.split())]
    if not moves:
        raise FormError("the answer is empty")
    shown = sorted(set(facts.board_config) - set("ox"))
    cars = {chr(ord("A") + index): _find_cells(facts.board_config, label) for index, label in enumerate(shown)}
    walls = _find_cells(facts.board_config, "x")
    for place, (name, sign, count) in enumerate(moves, start=1):
        for _ in range(int(count)):
            others = walls.union(*(cells for other, cells in cars.items() if other != name))
            moved = _slide(cars.get(name, set()), 1 if sign == "+" else -1)
            if not moved or moved & others:
                return f"move {place} is illegal"
            cars[name] = moved
    return None if (2, 5) in cars["A"] else "the red car is not at the exit"


def _find_cells(board: str, label: str) -> set[tuple[int, int]]:
    return {divmod(index, 6) for index, cell in enumerate(board) if cell == label}


def _slide(cells: set[tuple[int, int]], step: int) -> set[tuple[int, int]]:
    """Moves a vehicle by one cell along its direction; empty if there is no such vehicle, or it would leave the
    board.
    """
    upright = len({column for _, column in cells}) == 1
    moved = {(row + step, column) if upright else (row, column + step) for row, column in cells}
    return moved if all(0 <= row < 6 and 0 <= column < 6 for row, column in moved) else set()


def _read_texts(answer: str) -> list[str]:
    """Reads a JSON list of texts. Raises FormError if it is not one."""
    values = json_list(answer)
    if not values or not all(isinstance(value, str) for value in values):
        raise FormError("expected a JSON list of moves")
    return values


def _check_count(moves: list[str]) -> list[str]:
    if len(moves) > MAX_MOVES:
        raise FormError(f"more than {MAX_MOVES} moves")
    return moves


MOVES: dict[str, Checker[Any]] = {
    "tower_of_hanoi": Checker(
        "legal moves, one per line, that bring the tower to the target peg", Hanoi, tower_of_hanoi
    ),
    "jugs": Checker("a JSON list of moves after which a jug holds the target", Jugs, jugs),
    "knight_swap": Checker(
        "a JSON list of legal moves that swaps the knights; No if that is impossible", Knights, knight_swap
    ),
    "sokoban": Checker("a string of U, D, L and R after which every box is on a goal", Sokoban, sokoban),
    "rush_hour": Checker("legal moves such as F+1 K-2 that bring car A to the exit", RushHour, rush_hour),
}
