import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from support.hostile_messages import hostile_records
from support.messages import rollout, ticket

from infra.advice.letters import letter_content, letter_fields
from infra.page.models.letters import counts_of, line_of, newest_first
from infra.page.serving.answers import encode
from streams.codec import DecodeError
from streams.dead_letters import dead_letter, parse
from streams.records import Record


def letter(offset, at, topic="rollouts", error: Exception | None = None):
    record = Record(topic, 0, offset, 0.0, b"key", b"\xff", ())
    made = dead_letter(record, error or DecodeError(f"why {offset}"), "router", "dead-letters", now=at)
    return parse(Record(made.topic, 0, offset, 0.0, made.key, made.value, made.headers))


def test_letters_are_counted_by_topic_stage_and_error_and_the_newest_says_why():
    letters = newest_first([letter(0, 5.0), letter(1, 9.0), letter(2, 7.0, "scored", ValueError("other"))])
    assert [one.id for one in letters] == ["0:1", "0:2", "0:0"]
    first, second = counts_of(letters)
    assert (first.topic, first.error, first.reason, first.letters) == ("rollouts", "DecodeError", "why 1", 2)
    assert (first.first_at, first.last_at) == (5.0, 9.0)
    assert (second.topic, second.error, second.letters) == ("scored", "ValueError", 1)


@given(st.lists(st.tuples(st.floats(0, 1e9), st.sampled_from("ab")), max_size=30))
def test_each_letter_is_counted_once(given_letters):
    letters = newest_first(letter(at, when, topic) for at, (when, topic) in enumerate(given_letters))
    assert sum(row.letters for row in counts_of(letters)) == len(letters)


@given(hostile_records(rollout(0, 0), "rollouts", [rollout(0, 0), ticket(0)]))
@settings(max_examples=100)
def test_whatever_was_set_aside_becomes_json(record):
    one = parse(record)
    shown = encode([letter_fields(one) | letter_content(one), line_of(one), counts_of([one])])
    assert msgspec.json.decode(shown)[0]["id"] == one.id
