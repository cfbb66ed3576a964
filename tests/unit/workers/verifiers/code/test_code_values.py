"""What leaves a sandbox as a value, which values are equal, and which outputs."""

import math
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.verifiers.code import inside_values
from workers.verifiers.code.stdio import same_output
from workers.verifiers.code.values import decode, same, written

HUGE = 10**400
"""An int beyond every float."""
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.complex_numbers(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text() | st.integers() | st.tuples(st.booleans(), st.floats()), inner, max_size=4)
        | st.frozensets(st.integers() | st.text() | st.frozensets(st.booleans()), max_size=4)
        | st.sets(st.integers() | st.binary(), max_size=4)
    ),
    max_leaves=12,
)


@given(PLAIN)
def test_every_plain_value_comes_back_as_it_was(value: Any) -> None:
    back = decode(inside_values.encode(value))
    assert same(value, back)
    assert same(back, value)
    assert repr(back) == repr(value) or "{" in repr(value)  # a set's order may differ


POINT = namedtuple("Point", "x y")  # noqa: PYI024  what programs return


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (Counter("aab"), {"a": 2, "b": 1}),
        (defaultdict(list, {"a": [1]}), {"a": [1]}),
        (OrderedDict([("b", 1), ("a", 2)]), {"b": 1, "a": 2}),
        ({"x": [Counter("a")]}, {"x": [{"a": 1}]}),
        (POINT(1, 2), (1, 2)),
        (defaultdict(Counter, {1: Counter("b")}), {1: {"b": 1}}),
    ],
)
def test_what_python_holds_equal_to_a_plain_value_is_sent_as_one(value: Any, told: Any) -> None:
    back = decode(inside_values.encode(value))
    assert (type(back), back) == (type(told), told)
    assert same(told, back)


class Sly(Counter):
    """Not the library's own."""


@pytest.mark.parametrize(
    "value", [Sly("a"), type("D", (dict,), {})(), type("T", (tuple,), {})(), type("I", (int,), {})(), deque(), range(3)]
)
def test_other_subclasses_are_refused(value: Any) -> None:
    with pytest.raises(inside_values.Refused):
        inside_values.encode(value)


@given(PLAIN, PLAIN)
def test_values_of_other_types_differ(one: Any, other: Any) -> None:
    if type(one) is not type(other) and {type(one), type(other)} != {list, tuple}:
        assert not same(one, other)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_line_of_a_candidate_is_read_or_refused(line: bytes) -> None:
    with suppress(ValueError):
        decode(line)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{}",
        "[]",
        "1.5",
        "NaN",
        '["x"]',
        '["s",["l"]]',
        '["d",[1]]',
        '["i","zz"]',
        "9" * 5000,
        "[" * 100000,
        '["f",1]',
    ],
)
def test_lines_that_are_no_values(line: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  each for a reason of its own
        decode(line)


@pytest.mark.parametrize(
    ("expected", "got", "tolerance", "equal"),
    [
        (1, True, None, False),
        (True, 1, None, False),
        (1, 1.0, None, False),
        (1.0, 1, None, False),
        (0, False, 0.1, False),
        (math.nan, math.nan, None, True),
        (0.3, 0.1 + 0.2, None, False),
        (0.3, 0.1 + 0.2, 1e-9, True),
        (1, 1.0, 0.0, True),
        (HUGE, 1.0, 1e-6, False),
        (HUGE, HUGE + 1, 1e-6, False),
        (math.inf, math.inf, 1e-6, True),
        (math.inf, -math.inf, 1e-6, False),
        ([1, 2], (1, 2), None, True),
        ((1, 2), [1, 2], None, False),
        ([1, [2]], (1, (2,)), None, True),
        ([1, 2], [1, 2, 3], None, False),
        ([], [], None, True),
        ([], {}, None, False),
        ("", None, None, False),
        ({1}, {True}, None, False),
        ({1, 2}, {2, 1}, None, True),
        ({1}, frozenset({1}), None, False),
        ({"a": 1}, {"a": True}, None, False),
        ({1: "a"}, {True: "a"}, None, False),
        ({"a": 1, "b": [0.1]}, {"b": [0.1 + 1e-12], "a": 1}, 1e-9, True),
        ("a", b"a", None, False),
        (1j, 1j, None, True),
        (complex(0, math.nan), complex(0, math.nan), None, True),
        (complex(0, math.nan), complex(1, math.nan), None, False),
        (-0.0, 0.0, None, True),
    ],
    ids=range(31),
)
def test_which_values_are_equal(expected: Any, got: Any, tolerance: float | None, *, equal: bool) -> None:
    assert same(expected, got, tolerance) is equal


@pytest.mark.parametrize(
    ("form", "value"),
    [
        ({"$type": "tuple", "value": [1, {"$type": "set", "value": [2]}]}, (1, {2})),
        ({"$type": "dict", "value": [[1, "a"], [{"$type": "tuple", "value": [2, 3]}, "b"]]}, {1: "a", (2, 3): "b"}),
        ({"$type": "bytes", "value": "00ff"}, b"\x00\xff"),
        ({"$type": "float", "value": "inf"}, math.inf),
        ({"$type": "complex", "value": [1, 2]}, 1 + 2j),
        ({"a": {"$type": "frozenset", "value": []}}, {"a": frozenset()}),
    ],
)
def test_values_without_a_json_form_are_encoded(form: Any, value: Any) -> None:
    assert written(form) == value


class IntSubclass(int):
    pass


@pytest.mark.parametrize("value", [IntSubclass(1), [IntSubclass(1)], object(), print, int, iter([]), range(3)])
def test_what_is_no_plain_value_is_refused(value: Any) -> None:
    with pytest.raises(inside_values.Refused):
        inside_values.encode(value)


# Printed lines


@pytest.mark.parametrize(
    ("expected", "printed", "tolerance", "equal"),
    [
        ("3", "3\n", None, True),
        ("3\n", "3", None, True),
        ("1\n2", "1  \n2\t\n\n\n", None, True),
        ("1\n2", "1\r\n2\r\n", None, True),
        ("1 2", "1  2", None, False),
        ("1\n2", "1 2", None, False),
        ("1", " 1", None, False),
        ("\n1", "1", None, False),
        ("", "\n", None, True),
        ("0.5", "0.50", None, False),
        ("0.5 a", "0.50000001 a", 1e-6, True),
        ("0.5 a", "0.50000001 b", 1e-6, False),
        ("nan", "NaN", 1e-6, False),
        ("1", "1\n2", 1e-6, False),
    ],
)
def test_which_printed_outputs_are_equal(expected: str, printed: str, tolerance: float | None, *, equal: bool) -> None:
    assert same_output(expected, printed, tolerance) is equal
