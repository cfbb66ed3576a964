"""A broker that does not answer for longer than any request's time limit: processes hold what they have and go on."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.broker_run import RunOnBroker, run_settings
from support.messages import closed, rollout
from support.waiting import wait_until

from infra import outages
from infra.local.broker import EmbeddedBroker
from infra.settings.tree import Settings
from streams.clients import DeliveryError, confirm, publish
from streams.messages import GroupClosed
from streams.topics import Topic
from trainer.log_writer import LogWriter

REQUEST_SECONDS = 1.0
"""An outage of a few of these is long."""


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedBroker]:
    """A broker of its own, since the session's serves other tests."""
    own = EmbeddedBroker(tmp_path_factory.mktemp("broker") / "broker.log")
    own.start()
    yield own
    own.stop()


@contextmanager
def away(broker: EmbeddedBroker) -> Iterator[None]:
    assert broker._child is not None
    os.kill(broker._child.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(broker._child.pid, signal.SIGCONT)


@pytest.fixture
def loop(broker: EmbeddedBroker, tmp_path: Path) -> Iterator[RunOnBroker]:
    settings = run_settings(broker.bootstrap, run={"folder": str(tmp_path)})
    slow = {"request_timeout_seconds": REQUEST_SECONDS, "connect_timeout_seconds": 2.0, "outage_seconds": 120.0}
    settings = settings.model_copy(update={"broker": settings.broker.model_copy(update=slow)})
    loop = RunOnBroker(settings, broker.bootstrap, tmp_path)
    yield loop
    loop.close()


def with_outage(settings: Settings, seconds: float) -> Settings:
    return settings.model_copy(update={"broker": settings.broker.model_copy(update={"outage_seconds": seconds})})


def test_what_was_sent_is_held_until_the_broker_is_back(loop: RunOnBroker, broker: EmbeddedBroker) -> None:
    writer = LogWriter(loop.settings, loop.bootstrap)
    writer.send(Topic.GROUPS_CLOSED, [closed(0, 0)])
    failures: list[BaseException] = []

    def send() -> None:
        try:
            writer.send(Topic.GROUPS_CLOSED, [closed(seq, seq) for seq in range(1, 5)])
        except DeliveryError as error:
            failures.append(error)

    sending = threading.Thread(target=send)
    with away(broker):
        sending.start()
        sending.join(4 * REQUEST_SECONDS)
        assert sending.is_alive()
    sending.join(60)
    assert (failures, sending.is_alive()) == ([], False)
    writer.close()
    found = [message for message in loop.messages(Topic.GROUPS_CLOSED) if isinstance(message, GroupClosed)]
    assert {message.seq for message in found} == {0, 1, 2, 3, 4}


def test_an_absence_beyond_the_limit_ends_with_its_error(loop: RunOnBroker, broker: EmbeddedBroker) -> None:
    with away(broker):
        sent = [publish(loop.producer, loop.topic(Topic.GROUPS_CLOSED), closed(9, 9), "k")]
        with pytest.raises(DeliveryError, match="not acknowledged") as caught:
            confirm(loop.producer, sent, timeout=2 * REQUEST_SECONDS)
    assert outages.is_outage(caught.value)


def test_a_process_that_is_asked_to_stop_does_not_wait_for_the_broker(
    loop: RunOnBroker, broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outages, "_STOP_SECONDS", 0.5)
    with away(broker):
        sent = [publish(loop.producer, loop.topic(Topic.GROUPS_CLOSED), closed(9, 9), "k")]
        threading.Timer(1.0, outages.stopping.set).start()
        try:
            with pytest.raises(DeliveryError):
                confirm(loop.producer, sent, timeout=1e6)
        finally:
            outages.stopping.clear()


@pytest.mark.slow
def test_a_stage_routes_everything_after_an_outage_and_never_ends_as_a_crash(
    loop: RunOnBroker, broker: EmbeddedBroker
) -> None:
    """It may end with the code of an outage, if the library beneath gives up; its supervisor then starts it again."""
    loop.send(*(rollout(seq, 0, run_id=loop.run_id) for seq in range(4)))
    child = loop.start("router")
    loop.read(Topic.RTV_REQUESTS, 4)
    with away(broker):
        ended_at = time.monotonic() + 15 * REQUEST_SECONDS
        wait_until(lambda: time.monotonic() > ended_at or child.poll() is not None, "the outage", interval=0.2)
    loop.send(*(rollout(seq, 0, run_id=loop.run_id) for seq in range(4, 8)))

    def routed() -> set[object]:
        nonlocal child
        if child.poll() is not None:
            assert child.returncode == outages.EXIT_CODE, loop.logs()
            child = loop.start("router")
        return {message.group_id for message in loop.messages(Topic.RTV_REQUESTS)}  # type: ignore[attr-defined]

    wait_until(lambda: len(routed()) == 8, "all rollouts", interval=1.0, details=loop.logs)
