import msgspec
import pytest
from support.messages import RUN, scored, ticket

from streams.codec import decode, encode
from streams.messages import Route, ScoredTrajectory
from streams.records import Record
from trainer.groups.groups import GroupBook
from trainer.leader.segment_cache import SegmentCache, with_segments
from trainer.seqset import SeqSet
from trainer.step.trajectory import TrajectoryError, trajectory_of


def record(message, topic="scored", offset=0):
    return Record(topic, 1, offset, 5.0, b"key", encode(message))


def cache_of(closed=()):
    return SegmentCache(RUN, "scored", SeqSet.of(0, closed))


def test_what_is_held_and_what_is_sent_are_the_verdict_again():
    cache = cache_of()
    read = record(scored(3, 1, 0.5, tokens=range(1000)))
    light = cache.strip(read)
    assert len(light.value) < len(read.value) / 8
    assert (light.source, light.offset, light.key) == (read.source, read.offset, read.key)
    sent = decode(light.value, ScoredTrajectory)
    whole = with_segments(sent, cache.segments(3))
    assert msgspec.structs.replace(whole, rollout=msgspec.structs.replace(whole.rollout, text="4")) == scored(
        3, 1, 0.5, tokens=range(1000)
    )


def test_the_same_verdict_is_held_as_the_book_counts():
    """A verdict of the other route, and a repeated one, may be of another generation of the same rollout."""
    verdicts = [
        scored(0, 0, 1.0, tokens=(8,), route=Route.GENRM),
        scored(0, 0, 0.5, tokens=(9,)),
        scored(0, 0, 0.25, tokens=(10,)),
        scored(0, 1, 0.75, tokens=(11,)),
    ]
    cache, book = cache_of(), GroupBook()
    for offset, verdict in enumerate(verdicts):
        cache.strip(record(verdict, offset=offset))
        book.add_scored(verdict, record(verdict, offset=offset))
    counted = {index: verdict.rollout.segments for index, verdict in book.open[0].scored.items()}
    assert cache.segments(0) == counted


def test_closed_groups_are_not_held_again():
    cache = cache_of(closed=[1])
    for seq in (0, 1, 2):
        cache.strip(record(scored(seq, 0, 1.0)))
    assert [bool(cache.segments(seq)) for seq in (0, 1, 2)] == [True, False, True]
    cache.drop((0,))
    cache.strip(record(scored(0, 0, 1.0)))
    assert cache.segments(0) == {}


def test_what_others_read_or_nobody_can_is_passed_on():
    cache = cache_of()
    for read in (record(ticket(0), topic="prompts"), Record("scored", 0, 0, 0.0, None, b"\xc1")):
        assert cache.strip(read) is read
    foreign = scored(0, 0, 1.0)
    foreign = msgspec.structs.replace(foreign, rollout=msgspec.structs.replace(foreign.rollout, run_id="another"))
    cache.strip(record(foreign))
    assert cache.segments(0) == {}


def test_a_verdict_that_came_without_segments_cannot_be_trained_on():
    with pytest.raises(TrajectoryError):
        trajectory_of(with_segments(scored(0, 0, 1.0), {}))
