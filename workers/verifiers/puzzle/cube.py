"""The Rubik's cube: after the scramble and the answer's turns, every face must have one colour.

Invariant: a sticker is its position and the direction that it faces, both integer vectors. A turn rotates the stickers
of a layer, so there is no table of permutations that could be mistyped.
"""

import re
from typing import Any

import msgspec

from workers.verifiers.puzzle.checking import Checker
from workers.verifiers.puzzle.forms import FormError

MAX_TURNS = 2000
"""Most turns of an answer; the generator's own solutions have about 150."""

Vector = tuple[int, int, int]

_TURN = re.compile(r"(\d?)([URFDLB])(w?)(['’]?)")
_REPEATED = re.compile(r"([URFDLB]['’]?)2")
_FACES: dict[str, tuple[int, int]] = {"R": (0, 1), "L": (0, -1), "U": (1, 1), "D": (1, -1), "F": (2, 1), "B": (2, -1)}
"""The axis of each face, and the side of the axis on which the face is."""


class Cube(msgspec.Struct):
    cube_size: int
    scramble_moves: str


def rubiks_cube(answer: str, facts: Cube) -> str | None:
    turns = [turn for word in answer.split() for turn in _expand_turn(word)]
    if not turns:
        raise FormError("the answer is empty")
    if len(turns) > MAX_TURNS:
        raise FormError(f"more than {MAX_TURNS} turns")
    stickers = _solved_stickers(facts.cube_size)
    for word in facts.scramble_moves.split():
        stickers = _apply_turn(stickers, facts.cube_size, word)
    for turn in turns:
        stickers = _apply_turn(stickers, facts.cube_size, turn)
    faces: dict[Vector, set[str]] = {}
    for _, facing, colour in stickers:
        faces.setdefault(facing, set()).add(colour)
    return None if all(len(colours) == 1 for colours in faces.values()) else "the cube is not solved"


def _expand_turn(word: str) -> list[str]:
    """Writes `U2` as `U U`. Raises FormError."""
    twice = _REPEATED.fullmatch(word)
    if twice:
        return [twice.group(1)] * 2
    if not _TURN.fullmatch(word):
        raise FormError(f"expected turns in Singmaster's notation, got {word[:20]!r}")
    return [word]


def _solved_stickers(size: int) -> list[tuple[Vector, Vector, str]]:
    """Returns the position (in steps of two about the centre), direction and colour of each sticker of a solved
    cube.
    """
    line = range(1 - size, size, 2)
    stickers = []
    for face, (axis, side) in _FACES.items():
        for one in line:
            for other in line:
                position, facing = [one, other], [0, 0]
                position.insert(axis, side * (size - 1))
                facing.insert(axis, side)
                stickers.append((_vector(position), _vector(facing), face))
    return stickers


def _apply_turn(stickers: list[tuple[Vector, Vector, str]], size: int, turn: str) -> list[tuple[Vector, Vector, str]]:
    """Applies a turn: `2R` turns the second layer from the right, `2Rw` the first two, `R` the first, seen from its own
    side.
    """
    found = _TURN.fullmatch(turn)
    if found is None:
        raise ValueError(f"options.entry.metadata: scramble_moves has {turn!r}")
    count, face, wide, inverse = found.groups()
    axis, side = _FACES[face]
    inner = int(count or (2 if wide else 1))
    layers = {size - 1 - 2 * depth for depth in range(0 if wide else inner - 1, inner)}
    clockwise = -side if not inverse else side
    return [
        (_rotate(position, axis, clockwise), _rotate(facing, axis, clockwise), colour)
        if side * position[axis] in layers
        else (position, facing, colour)
        for position, facing, colour in stickers
    ]


def _rotate(vector: Vector, axis: int, sense: int) -> Vector:
    """Rotates by a quarter turn about the axis; `sense` 1 is counter-clockwise, seen from the axis's positive end."""
    one, other = (axis + 1) % 3, (axis + 2) % 3
    turned = list(vector)
    turned[one], turned[other] = -sense * vector[other], sense * vector[one]
    return _vector(turned)


def _vector(values: list[int]) -> Vector:
    return values[0], values[1], values[2]


CUBE: dict[str, Checker[Any]] = {
    "rubiks_cube": Checker("turns such as R U' F that solve the cube", Cube, rubiks_cube),
}
