"""The Rubik's cube: the answer's turns, played after the scramble, must leave every face of one colour.

Invariant: a sticker is its position and the direction that it faces, both integer vectors; a turn rotates those of
one layer, so no table of permutations can be mistyped.
"""

import re
from typing import Any

import msgspec

from workers.verifiers.puzzle.checking import Checker
from workers.verifiers.puzzle.forms import FormError

MAX_TURNS = 2000
"""The generator's own solutions have about 150."""

Vector = tuple[int, int, int]

_TURN = re.compile(r"(\d?)([URFDLB])(w?)(['’]?)")
_REPEATED = re.compile(r"([URFDLB]['’]?)2")
_FACES: dict[str, tuple[int, int]] = {"R": (0, 1), "L": (0, -1), "U": (1, 1), "D": (1, -1), "F": (2, 1), "B": (2, -1)}
"""Axis, and on which side of it the face lies."""


class Cube(msgspec.Struct):
    cube_size: int
    scramble_moves: str


def rubiks_cube(answer: str, facts: Cube) -> str | None:
    turns = [turn for word in answer.split() for turn in _spelled(word)]
    if not turns:
        raise FormError("the answer is empty")
    if len(turns) > MAX_TURNS:
        raise FormError(f"more than {MAX_TURNS} turns")
    stickers = _solved(facts.cube_size)
    for word in facts.scramble_moves.split():
        stickers = _turned(stickers, facts.cube_size, word)
    for turn in turns:
        stickers = _turned(stickers, facts.cube_size, turn)
    faces: dict[Vector, set[str]] = {}
    for _, facing, colour in stickers:
        faces.setdefault(facing, set()).add(colour)
    return None if all(len(colours) == 1 for colours in faces.values()) else "the cube is not solved"


def _spelled(word: str) -> list[str]:
    """`U2` is `U U`. Raises FormError."""
    twice = _REPEATED.fullmatch(word)
    if twice:
        return [twice.group(1)] * 2
    if not _TURN.fullmatch(word):
        raise FormError(f"expected turns in Singmaster's notation, got {word[:20]!r}")
    return [word]


def _solved(size: int) -> list[tuple[Vector, Vector, str]]:
    """Position (odd or even steps about the centre), direction and colour of each sticker."""
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


def _turned(stickers: list[tuple[Vector, Vector, str]], size: int, turn: str) -> list[tuple[Vector, Vector, str]]:
    """`2R` turns the second layer from the right, `2Rw` the first two, `R` the first, seen from its own side."""
    found = _TURN.fullmatch(turn)
    if found is None:
        raise ValueError(f"options.entry.metadata: scramble_moves has {turn!r}")
    count, face, wide, inverse = found.groups()
    axis, side = _FACES[face]
    inner = int(count or (2 if wide else 1))
    layers = {size - 1 - 2 * depth for depth in range(0 if wide else inner - 1, inner)}
    clockwise = -side if not inverse else side
    return [
        (_rotated(position, axis, clockwise), _rotated(facing, axis, clockwise), colour)
        if side * position[axis] in layers
        else (position, facing, colour)
        for position, facing, colour in stickers
    ]


def _rotated(vector: Vector, axis: int, sense: int) -> Vector:
    """A quarter turn about the axis; `sense` 1 is counter-clockwise seen from its positive end."""
    one, other = (axis + 1) % 3, (axis + 2) % 3
    turned = list(vector)
    turned[one], turned[other] = -sense * vector[other], sense * vector[one]
    return _vector(turned)


def _vector(values: list[int]) -> Vector:
    return values[0], values[1], values[2]


CUBE: dict[str, Checker[Any]] = {
    "rubiks_cube": Checker("turns such as R U' F that solve the cube", Cube, rubiks_cube),
}
