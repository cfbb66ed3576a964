import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.codec import DecodeError
from streams.dead_letters import choose, dead_letter, parse, put_back, reason_of
from streams.records import Output, Record

records = st.builds(
    Record,
    topic=st.text(min_size=1, max_size=20),
    partition=st.integers(0, 9),
    offset=st.integers(0, 2**40),
    timestamp=st.just(1.0),
    key=st.none() | st.binary(max_size=20),
    value=st.none() | st.binary(max_size=200),
    headers=st.lists(
        st.tuples(st.text(max_size=10).filter(lambda name: not name.startswith("dead_letter.")), st.binary(max_size=9))
    ).map(tuple),
)


def stored(output: Output, offset: int = 0) -> Record:
    """The record that the dead-letter topic holds."""
    return Record(output.topic, 3, offset, 2.0, output.key, output.value, output.headers)


@given(record=records)
def test_nothing_of_the_record_changes_on_the_way_there_and_back(record) -> None:
    output = dead_letter(record, DecodeError("field x"), "rtv", "dead", now=5.5)
    assert (output.topic, output.key, output.value) == ("dead", record.key, record.value)
    letter = parse(stored(output, 8))
    assert (letter.id, letter.stage, letter.topic, letter.partition, letter.offset) == (
        "3:8",
        "rtv",
        record.topic,
        record.partition,
        record.offset,
    )
    assert (letter.attempts, letter.error_class, letter.reason, letter.first_failed_at) == (
        1,
        "DecodeError",
        "field x",
        5.5,
    )
    back = put_back(letter)
    assert (back.topic, back.key, back.value) == (record.topic, record.key, record.value)
    assert tuple(pair for pair in back.headers if not pair[0].startswith("dead_letter.")) == record.headers


def test_what_fails_again_counts_up_and_remembers_its_first_failure() -> None:
    record = Record("rollouts", 0, 4, 1.0, b"k", b"v", (("route", b"rtv"),))
    for attempt in (1, 2, 3):
        output = dead_letter(record, ValueError(f"try {attempt}"), "rtv", "dead", now=100.0 * attempt)
        letter = parse(stored(output))
        assert (letter.attempts, letter.first_failed_at, letter.reason) == (attempt, 100.0, f"try {attempt}")
        back = put_back(letter)
        record = Record(back.topic, 0, 4 + attempt, 1.0, back.key, back.value, back.headers)
    assert [name for name, _ in record.headers].count("dead_letter.attempts") == 1


def test_the_reason_of_a_letter_is_its_error_class() -> None:
    record = Record("t", 0, 0, 0.0, None, None)
    assert reason_of(dead_letter(record, KeyError("x"), "s", "dead")) == "KeyError"
    assert reason_of(Output("dead", None, None)) == "unknown"


def test_a_record_of_strangers_is_listed_and_not_put_back() -> None:
    letter = parse(Record("dead", 0, 1, 0.0, None, b"?", (("other", b"1"),)))
    assert letter.error_class == "unknown"
    with pytest.raises(ValueError, match="0:1 does not say"):
        put_back(letter)


def test_choosing_names_what_does_not_exist() -> None:
    letters = [parse(Record("dead", 0, offset, 0.0, None, None)) for offset in range(3)]
    assert [letter.id for letter in choose(letters, ["0:2", "0:0"])] == ["0:2", "0:0"]
    with pytest.raises(LookupError, match="0:9, 1:0"):
        choose(letters, ["0:0", "0:9", "1:0"])
