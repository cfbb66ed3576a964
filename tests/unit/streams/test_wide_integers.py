"""Integers of any size pass every wire: what is packed reads back equal."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.codec import decode, encode
from streams.messages import Question
from streams.wide_integers import decoder, pack
from workers.verifiers.pool.wire import LENGTH, Job, decode_job, frame

EDGES = [0, -1, 2**63 - 1, -(2**63), -(2**63) - 1, 2**64 - 1, 2**64, -(2**64), 2**128, -(2**127), 10**4000]
WIDE = st.integers() | st.sampled_from(EDGES)
VALUES = st.recursive(
    st.none() | st.booleans() | WIDE | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=10,
)


@given(VALUES)
def test_any_value_reads_back_equal(value: Any) -> None:
    assert decoder(object).decode(pack(value)) == value


@pytest.mark.parametrize("number", EDGES, ids=range(len(EDGES)))
def test_a_question_keeps_its_integers_in_every_message(number: int) -> None:
    options = {"tests": {"cases": [{"args": [number, (number,)], "expected": number}]}}
    question = Question(prompt="?", verifier="code", options=options)
    told = {"tests": {"cases": [{"args": [number, [number]], "expected": number}]}}
    assert decode(encode(question), Question).options == told
    assert decode_job(frame(Job("code", question, "x"))[LENGTH.size :]).question.options == told


def test_what_is_not_wide_is_plain_messagepack() -> None:
    value = {"a": [1, 2.5, "x", None, 2**64 - 1, -(2**63)]}
    assert pack(value) == msgspec.msgpack.encode(value)


def test_another_extension_is_left_as_it_is() -> None:
    foreign = msgspec.msgpack.Ext(7, b"abc")
    assert decoder(object).decode(msgspec.msgpack.encode([foreign])) == [foreign]
