"""Which announced version an engine takes, and when, while its steps go on."""

import threading
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from support.messages import RUN, announced
from support.waiting import wait_until

from streams.announcements import SignatureError, signature_headers
from streams.codec import encode, headers_of
from streams.messages import PolicyVersion
from streams.records import Record
from workers.engines.base import WeightVersion
from workers.rollout.policy_follower import PolicyFollower
from workers.rollout.weight_places import ElsewhereError, WeightPlaces


class Announcements:
    """A log of versions, as a LogReader gives it."""

    def __init__(self) -> None:
        self.waiting: list[Record] = []

    def poll(self, timeout: float) -> list[Record]:
        records, self.waiting = self.waiting, []
        return records

    def add(self, version: int, lineage: int = 0) -> PolicyVersion:
        message = announced(version, lineage=lineage, uri=f"/policies/v{version}")
        self.waiting.append(Record("policy.versions", 0, version, 0.0, b"r", encode(message)))
        return message


class SlowCache:
    """Fetches end when the test says so."""

    def __init__(self) -> None:
        self.asked: list[PolicyVersion] = []
        self.error: Exception | None = None
        self.may_end = threading.Event()

    def folder_of(self, announced: PolicyVersion) -> Path:
        self.asked.append(announced)
        assert self.may_end.wait(60)
        if self.error is not None:
            raise self.error
        return Path(f"v{announced.version}")


class NotingEngine:
    def __init__(self) -> None:
        self.weights = WeightVersion(0, -1)
        self.folders: list[str] = []

    def load_weights(self, folder: Path, version: WeightVersion) -> None:
        self.folders.append(str(folder))
        self.weights = version


class Following:
    def __init__(self, key: bytes | None = None) -> None:
        self.log, self.cache, self.engine = Announcements(), SlowCache(), NotingEngine()
        self.set_aside: list[Exception] = []
        self.follower = PolicyFollower(
            reader=self.log,
            engine=self.engine,
            cache=self.cache,
            run_id=RUN,
            places=WeightPlaces(("/policies",)),
            key=key,
            set_aside=lambda _record, error: self.set_aside.append(error),
        )

    def turn(self) -> None:
        self.follower.follow()
        self.follower.swap()

    def until(self, done) -> None:
        def turned() -> bool:
            self.turn()
            return done()

        wait_until(turned, "turns of the worker to get there")


def test_turns_go_on_while_a_version_is_fetched():
    following = Following()
    following.log.add(0)
    for _ in range(50):
        following.turn()
    assert [each.version for each in following.cache.asked] == [0]
    assert not following.follower.holding.is_followed
    following.cache.may_end.set()
    following.until(lambda: following.follower.holding.is_followed)
    assert following.engine.weights == WeightVersion(0, 0)
    for _ in range(50):
        following.turn()
    assert following.engine.folders == ["v0"]


def test_a_version_that_was_overtaken_is_loaded_and_the_newest_follows():
    following = Following()
    following.log.add(0)
    following.until(lambda: following.cache.asked)
    for version in (1, 2, 3):
        following.log.add(version)
        following.turn()
    following.cache.may_end.set()
    following.until(lambda: following.engine.weights.version == 3)
    assert following.engine.folders == ["v0", "v3"]


def test_a_version_of_a_lineage_that_was_left_is_not_loaded():
    following = Following()
    following.log.add(7)
    following.until(lambda: following.cache.asked)
    following.log.add(5, lineage=1)
    following.turn()
    following.cache.may_end.set()
    following.until(lambda: following.engine.weights.version == 5)
    assert following.engine.folders == ["v5"]


def test_a_refused_version_does_not_hold_up_the_next(caplog):
    following = Following()
    following.log.add(0)
    following.cache.error = OSError("no such place")
    following.cache.may_end.set()
    following.until(lambda: "no such place" in caplog.text)
    for _ in range(50):
        following.turn()
    assert len(following.cache.asked) == 1  # the next attempt is seconds away
    following.cache.error = None
    following.log.add(1)
    following.until(lambda: following.follower.holding.is_followed)
    assert following.engine.weights == WeightVersion(0, 1)


def test_other_runs_are_not_followed():
    following = Following()
    other = msgspec.structs.replace(following.log.add(0), run_id="another")
    following.log.waiting = [Record("policy.versions", 0, 0, 0.0, b"r", encode(other))]
    following.turn()
    assert following.cache.asked == []


def test_what_is_no_fault_of_a_version_ends_the_worker():
    following = Following()
    following.log.add(0)
    following.cache.error = MemoryError()
    following.cache.may_end.set()
    with pytest.raises(MemoryError):
        following.until(lambda: False)


def test_a_lineage_that_was_left_never_comes_back():
    """A learner that wakes up announces a higher version of its old lineage."""
    following = Following()
    following.cache.may_end.set()
    following.log.add(20, lineage=1)
    following.until(lambda: following.engine.weights.version == 20)
    following.log.add(10, lineage=2)
    following.until(lambda: following.engine.weights.version == 10)
    following.log.add(21, lineage=1)
    for _ in range(50):
        following.turn()
    assert following.engine.weights == WeightVersion(2, 10)
    following.log.add(11, lineage=2)
    following.until(lambda: following.engine.weights == WeightVersion(2, 11))


def test_an_announcement_from_nowhere_holds_up_no_other(caplog):
    following = Following()
    following.cache.may_end.set()
    following.log.add(0)
    following.until(lambda: following.follower.holding.is_followed)
    following.cache.error = OSError("no such place")
    following.log.add(1_000_000, lineage=99)
    following.until(lambda: "no such place" in caplog.text)
    following.cache.error = None
    following.log.add(1)
    following.until(lambda: following.engine.weights == WeightVersion(0, 1))
    following.log.add(1, lineage=1)
    following.until(lambda: following.engine.weights == WeightVersion(1, 1))


def test_weights_at_another_place_are_set_aside_and_never_asked_for(metric_change):
    following = Following()
    for uri in ("/tmp/policies/v1", "/policies/../tmp/v1", "s3://policies/v1", "policies/v1"):  # noqa: S108 (refused)
        following.log.waiting.append(record_of(announced(1, uri=uri)))
    following.turn()
    assert [type(error) for error in following.set_aside] == [ElsewhereError] * 4
    assert "name the place in weights.places" in str(following.set_aside[0])
    assert following.cache.asked == []
    assert metric_change("weights_refused_total", reason="elsewhere") == 4


def test_only_what_is_signed_with_the_key_is_loaded(metric_change):
    following = Following(key=b"ours")
    following.cache.may_end.set()
    signed = announced(1, uri="/policies/v1")
    following.log.waiting += [record_of(signed), record_of(signed, key=b"theirs")]
    changed = record_of(announced(2, uri="/policies/v2"))
    following.log.waiting.append(replace(changed, headers=record_of(signed, key=b"ours").headers))
    following.turn()
    assert [type(error) for error in following.set_aside] == [SignatureError] * 3
    assert "is not signed, and" in str(following.set_aside[0])
    assert metric_change("weights_refused_total", reason="unsigned") == 3
    following.log.waiting.append(record_of(signed, key=b"ours"))
    following.until(lambda: following.engine.folders == ["v1"])


def record_of(message: PolicyVersion, key: bytes | None = None) -> Record:
    """The record as the learner writes it."""
    headers = tuple(headers_of(message, **signature_headers(message, key)))
    return Record("policy.versions", 0, message.version, 0.0, b"r", encode(message), headers)


def test_a_pinned_version_is_held_until_it_is_released_and_then_the_newest_comes_back():
    following = Following()
    following.cache.may_end.set()
    old = following.log.add(1)
    following.until(lambda: following.engine.weights.version == 1)
    following.log.add(2)
    following.until(lambda: following.engine.weights.version == 2)

    def pinned(version: int):
        following.follower.follow()
        assert following.follower.pin(old) == 0
        return following.engine.weights.version == version

    wait_until(lambda: pinned(1), "the pinned version")
    assert not following.follower.holding.is_followed
    following.log.add(3)
    wait_until(lambda: pinned(1) and len(following.cache.asked) == 4, "a fetch of version 3")
    for _ in range(50):
        assert pinned(1)
    following.until(lambda: following.engine.weights.version == 3)
    assert following.follower.holding.is_newest
    assert following.engine.folders == ["v1", "v2", "v1", "v3"]


def test_the_followed_version_comes_back_if_no_newer_one_was_announced():
    following = Following()
    following.cache.may_end.set()
    old = following.log.add(1)
    following.log.add(2)
    following.until(lambda: following.engine.weights.version == 2)
    wait_until(lambda: following.follower.pin(old) or following.engine.weights.version == 1, "the pinned version")
    following.until(lambda: following.engine.weights.version == 2)
    assert following.follower.holding.is_newest


def test_a_pinned_version_that_is_gone_is_counted(caplog):
    following = Following()
    following.cache.may_end.set()
    following.cache.error = OSError("no such place")
    old = following.log.add(1)
    wait_until(lambda: following.follower.pin(old) == 1, "a failed attempt")
    assert "no such place" in caplog.text


def test_a_pinned_version_is_refused_at_another_place_and_without_its_signed_announcement(caplog):
    elsewhere = Following()
    assert elsewhere.follower.pin(announced(1, uri="/tmp/policies/v1")) == 1  # noqa: S108 (refused)
    signed = Following(key=b"ours")
    signed.cache.may_end.set()
    named = announced(1, uri="/policies/v1")
    assert signed.follower.pin(named) == 1
    assert elsewhere.cache.asked == signed.cache.asked == []
    assert "no signed announcement" in caplog.text
    signed.log.waiting += [record_of(named, key=b"ours"), record_of(announced(2, uri="/policies/v2"), key=b"ours")]
    signed.until(lambda: signed.engine.weights.version == 2)
    signed.follower._pin = None
    wait_until(lambda: signed.follower.pin(named) or signed.engine.weights.version == 1, "the pinned version")
    assert signed.engine.weights.version == 1
