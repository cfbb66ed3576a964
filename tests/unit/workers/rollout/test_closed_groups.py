"""Which closings end the work on a group."""

from support.messages import RUN, closed, key_of, started

from streams.codec import encode, headers_of
from streams.messages import GroupClosed, LineageStarted, group_id
from streams.records import Record
from workers.rollout.closed_groups import ClosedGroups


def records(*messages: GroupClosed | LineageStarted) -> list[Record]:
    return [
        Record("groups.closed", 0, offset, 0.0, key_of(message).encode(), encode(message), tuple(headers_of(message)))
        for offset, message in enumerate(messages)
    ]


def test_groups_that_the_learner_closed_are_closed() -> None:
    groups = ClosedGroups(RUN)
    assert groups.add(records(closed(3, 0), closed(5, 1), closed(7, 2, run_id="another"))) == [
        group_id(RUN, 3),
        group_id(RUN, 5),
    ]
    assert group_id(RUN, 3) in groups
    assert group_id(RUN, 4) not in groups


def test_a_learner_that_resumes_opens_groups_again_and_an_overtaken_one_closes_none() -> None:
    groups = ClosedGroups(RUN)
    assert groups.add(records(closed(3, 0), started(2, 0), closed(4, 0, lineage=2))) == [group_id(RUN, 4)]
    assert group_id(RUN, 3) not in groups
    assert groups.add(records(closed(3, 0), closed(5, 1))) == []
    assert groups.add(records(closed(3, 1, lineage=2))) == [group_id(RUN, 3)]


def test_what_does_not_decode_changes_nothing() -> None:
    groups = ClosedGroups(RUN)
    broken = Record("groups.closed", 0, 0, 0.0, b"", b"\xc1", ())
    assert groups.add([broken, *records(closed(3, 0))]) == [group_id(RUN, 3)]
