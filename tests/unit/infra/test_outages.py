"""Waiting for a part: it is bounded, it is said, and it ends soon after the process was asked to stop."""

import logging
from collections.abc import Iterator

import pytest
from support.metrics import metric_value

from infra import outages
from infra.cli.errors import CommandError, ExitCode
from infra.cli.serve import run
from infra.db.engine import DatabaseUnavailableError
from infra.outages import PartWait, is_outage, wait_out
from infra.services import Service
from infra.settings.tree import Settings
from streams.clients import BrokerUnavailableError, DeliveryError, RecordTooLargeError


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    now = [100.0]
    monkeypatch.setattr("infra.outages.time.monotonic", lambda: now[0])
    monkeypatch.setattr("infra.outages.time.sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    yield now
    outages.stopping.clear()


def failing(times: int) -> tuple[list[int], object]:
    left = [times]

    def action() -> str:
        left[0] -= 1
        if left[0] >= 0:
            raise OSError("slow down")
        return "done"

    return left, action


def test_an_absence_is_waited_out_and_said(clock: list[float], caplog: pytest.LogCaptureFixture) -> None:
    _, action = failing(70)
    with caplog.at_level(logging.WARNING, "infra.outages"):
        assert wait_out("store", action, OSError, 1000.0) == "done"
    assert clock[0] == 170.0
    said = [record.getMessage() for record in caplog.records]
    assert said[0].startswith("the store has been away for 5 s (slow down)")
    assert said[-1] == "the store answers again after 70 s"
    assert len(said) == 4
    assert metric_value("outage_seconds", part="store") == 0


def test_the_wait_is_bounded_and_shown_meanwhile(clock: list[float]) -> None:
    _, action = failing(10**6)
    with pytest.raises(OSError, match="slow down"):
        wait_out("store", action, OSError, 20.0)
    assert clock[0] == 120.0
    assert metric_value("outage_seconds", part="store") == 19
    PartWait("store", 0.0).over()


def test_a_process_that_was_asked_to_stop_does_not_wait_for_long(clock: list[float]) -> None:
    outages.stopping.set()
    _, action = failing(10**6)
    with pytest.raises(OSError, match="slow down"):
        wait_out("store", action, OSError, 1e6)
    assert clock[0] <= 104.0


def chained(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "away"),
    [
        (BrokerUnavailableError("h:1", 10, "refused"), True),
        (DatabaseUnavailableError("no database"), True),
        (chained(DeliveryError("3 of 4"), BrokerUnavailableError("h:1", 1, "refused")), True),
        (DeliveryError("3 of 4 were refused"), False),
        (RecordTooLargeError("8 MiB"), False),
        (ValueError("a defect"), False),
        (None, False),
    ],
)
def test_what_counts_as_away(error: Exception | None, away: bool) -> None:  # noqa: FBT001 (a case of the table)
    assert is_outage(error) is away


def test_a_service_that_finds_no_broker_ends_with_the_code_of_an_outage() -> None:
    settings = Settings.model_validate(
        {"broker": {"kind": "cluster", "bootstrap_servers": "127.0.0.1:1", "connect_timeout_seconds": 0.1}}
    )
    with pytest.raises(CommandError, match=r"no Kafka broker answers at 127\.0\.0\.1:1") as caught:
        run(Service.ROUTER, settings)
    assert caught.value.code is ExitCode.AWAY


@pytest.mark.parametrize("ends", [None, KeyboardInterrupt()])
def test_a_service_that_was_stopped_is_not_done(monkeypatch: pytest.MonkeyPatch, ends: BaseException | None) -> None:
    def main(_settings: Settings, _bootstrap: str) -> None:
        if ends is not None:
            raise ends

    monkeypatch.setattr("streams.apps.router.main", main)
    assert run(Service.ROUTER, Settings()) is (ends is None)
