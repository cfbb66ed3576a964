"""Which groups a replay leaves out: everything before a group, a time, or a version."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.messages import RUN, closed, started, ticket

from streams.codec import encode, headers_of
from streams.messages import Outcome
from streams.records import Record
from trainer.groups.replay import ReplayError
from trainer.groups.replay_start import (
    FromGroup,
    FromTime,
    FromVersion,
    after_version,
    dispatch_times,
    from_ticket,
    parse_from,
)
from trainer.seqset import SeqSet


def records(messages, topic="groups.closed"):
    return [
        Record(topic, 0, offset, float(at), b"k", encode(message), headers_of(message))
        for offset, (at, message) in enumerate(messages)
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("120", FromGroup(120)),
        ("v12", FromVersion(12)),
        ("2026-03-01T12:00+00:00", FromTime(datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp())),
        ("2026-03-01", FromTime(datetime(2026, 3, 1).astimezone().timestamp())),
    ],
)
def test_a_start_is_a_group_a_version_or_a_time(text, expected):
    assert parse_from(text) == expected


@pytest.mark.parametrize("text", ["", "v", "v-1", "-3", "yesterday", "12:00 o'clock", "v12x"])
def test_anything_else_is_refused(text):
    with pytest.raises(ValueError, match="is no place in a log"):
        parse_from(text)


@given(
    st.dictionaries(st.integers(0, 30), st.integers(0, 100), min_size=1),
    st.integers(0, 100),
    st.lists(st.integers(0, 30), max_size=5),
)
def test_what_was_dispatched_since_a_time_is_kept_and_nothing_else(dispatched, since, repeated):
    """A ticket that was produced again later belongs to its first time."""
    log = [(at, ticket(seq)) for seq, at in dispatched.items()]
    log += [(1000, ticket(seq)) for seq in repeated if seq in dispatched]
    times = dispatch_times(records(log, "prompts"), RUN)
    kept = {seq for seq, at in dispatched.items() if at >= since}
    if not kept:
        with pytest.raises(ReplayError, match="dispatched nothing since then"):
            from_ticket(times, RUN, FromTime(since))
        return
    before = from_ticket(times, RUN, FromTime(since)).before
    assert {seq for seq in dispatched if seq not in before} == kept


def test_tickets_of_other_runs_and_what_does_not_decode_have_no_time():
    broken = Record("prompts", 0, 9, 0.0, b"k", b"\xc1", headers_of(ticket(0)))
    assert dispatch_times([*records([(0, ticket(3, run_id="other"))], "prompts"), broken], RUN) == {}


def test_a_group_that_was_not_dispatched_is_refused_with_those_that_were():
    times = {4: 0.0, 9: 0.0}
    assert from_ticket(times, RUN, FromGroup(7)).before == SeqSet(7)
    with pytest.raises(ReplayError, match=r"no group 10; the log has tickets of 4 to 9"):
        from_ticket(times, RUN, FromGroup(10))


def history(extra=()):
    """Version 1 of groups 0 and 2, while 1 was filtered; a step that was taken back; version 2 of 3; 4 is open."""
    messages = [
        started(0, 0),
        closed(0, 0, lineage=0),
        closed(2, 1, lineage=0),
        closed(1, 2, Outcome.FILTERED, lineage=0),
        closed(4, 3, lineage=0, version=2),
        started(1, 3, version=1),
        closed(3, 3, version=2, lineage=1),
        *extra,
    ]
    return records([(0, message) for message in messages])


@pytest.mark.parametrize(("version", "kept", "lineage"), [(0, {0, 1, 2, 3, 4}, 0), (1, {1, 3, 4}, 0), (2, {4}, 1)])
def test_what_was_closed_after_a_version_is_kept_in_the_surviving_history(version, kept, lineage):
    start = after_version(history(), RUN, version)
    assert {seq for seq in range(5) if seq not in start.before} == kept
    assert start.lineage == lineage


def test_a_version_that_was_taken_back_or_never_made_is_refused():
    taken_back = [closed(4, 4, version=3, lineage=1), started(2, 4, version=2)]
    with pytest.raises(ReplayError, match=r"has made no version 3; the newest that closed a group is 2"):
        after_version(history(taken_back), RUN, 3)
