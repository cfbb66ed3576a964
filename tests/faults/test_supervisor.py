"""The supervisor on real processes: what dies comes back, what cannot ends the run, and nothing is left."""

import json
import os
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event

import httpx
import pytest
from support.stack_program import spec
from support.supervised import (
    AWAY,
    CRASH,
    DIVERGE,
    FAMILY,
    FILL,
    FULL,
    IDLE,
    LEAVE,
    REFUSE,
    STUBBORN,
    await_end,
    pid_of,
    ready_file,
    survivors,
    tree_of,
)
from support.waiting import wait_until

from infra.cli.errors import ExitCode
from infra.local import broker, postgres
from infra.local import supervisor as supervisor_module
from infra.local.restarts import RestartPolicy
from infra.local.scrape_targets import SUPERVISOR, TARGETS_FILE
from infra.local.supervisor import Foundation, RunEnd, RunOutcome, ServiceStatus, Supervisor

QUICK = RestartPolicy(first_seconds=0.02, longest_seconds=0.1, short_lives=4)
PATIENT = RestartPolicy(first_seconds=0.02, longest_seconds=0.1, short_lives=1000)

Supervise = Callable[..., Supervisor]


@pytest.fixture
def supervise(tmp_path: Path) -> Iterator[Supervise]:
    started: list[Supervisor] = []

    def start(behaviours: dict[str, str], **options: object) -> Supervisor:
        specs = [spec(name, behaviour, tmp_path) for name, behaviour in behaviours.items()]
        supervisor = Supervisor(specs, **({"folder": tmp_path, "policy": PATIENT} | options))
        supervisor.start()
        started.append(supervisor)
        return supervisor

    yield start
    for supervisor in started:
        supervisor.stop()


def end_of(supervisor: Supervisor) -> RunEnd:
    return wait_until(lambda: supervisor.wait(1), "the end of the run")


def test_loading_is_not_life(tmp_path: Path) -> None:
    """A service that dies while it loads is given up, however long that takes."""
    policy = RestartPolicy(first_seconds=0.02, longest_seconds=0.02, long_life_seconds=0.001, short_lives=3)
    loading = replace(spec("learner", CRASH, tmp_path), marks_ready=True)
    supervisor = Supervisor([loading], folder=tmp_path, policy=policy)
    supervisor.start()
    assert end_of(supervisor).outcome is RunOutcome.FAILED


def test_prometheus_finds_the_services_as_long_as_the_run_goes_on(supervise: Supervise, tmp_path: Path) -> None:
    file = tmp_path / TARGETS_FILE
    supervisor = supervise({"router": IDLE, "learner": IDLE})
    wait_until(file.exists, "the targets")
    found = {group["labels"]["service"]: group["targets"] for group in json.loads(file.read_text(encoding="utf-8"))}
    [own] = found.pop(SUPERVISOR)
    assert found == {state.name: [f"127.0.0.1:{state.metrics_port}"] for state in supervisor.snapshot()}
    assert 'rewardstream_restarts_total{service="learner"}' in httpx.get(f"http://{own}/metrics").text
    supervisor.stop()
    assert not file.exists()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://{own}/metrics")


def test_a_killed_service_comes_back_and_is_counted(supervise: Supervise, tmp_path: Path) -> None:
    supervisor = supervise({"router": IDLE, "learner": IDLE})
    first, other = pid_of(tmp_path, "router"), pid_of(tmp_path, "learner")
    ready_file(tmp_path, "router").unlink()
    os.kill(first, signal.SIGKILL)
    second = pid_of(tmp_path, "router")
    assert second != first
    router, learner = supervisor.snapshot()
    assert (router.name, router.pid, router.restarts, router.last_exit) == ("router", second, 1, -9)
    assert (learner.pid, learner.restarts, learner.status) == (other, 0, ServiceStatus.RUNNING)
    assert router.usage.memory_bytes > 2**20


def test_a_service_that_was_asked_to_end_comes_back_too(supervise: Supervise, tmp_path: Path) -> None:
    supervise({"learner": IDLE})
    first = pid_of(tmp_path, "learner")
    ready_file(tmp_path, "learner").unlink()
    os.kill(first, signal.SIGTERM)
    assert pid_of(tmp_path, "learner") != first


def test_a_service_that_keeps_dying_ends_the_run_with_its_log(supervise: Supervise, tmp_path: Path) -> None:
    supervisor = supervise({"router": IDLE, "learner": CRASH}, policy=QUICK)
    end = end_of(supervisor)
    assert (end.outcome, end.exit_code) == (RunOutcome.FAILED, 1)
    assert end.message.startswith("learner keeps dying (exit code 1)")
    assert end.message.count("no luck") == QUICK.short_lives
    assert {state.status for state in supervisor.snapshot()} == {ServiceStatus.STOPPED}


def test_a_service_that_refuses_its_settings_is_not_started_again(supervise: Supervise) -> None:
    supervisor = supervise({"learner": REFUSE})
    end = end_of(supervisor)
    assert end.exit_code == 1
    assert "learner refuses its settings" in end.message
    assert "learner.gamma: wrong" in end.message
    assert supervisor.snapshot()[0].restarts == 0


def test_a_learner_that_diverged_is_not_started_again(supervise: Supervise) -> None:
    supervisor = supervise({"learner": DIVERGE})
    end = end_of(supervisor)
    assert end.exit_code == 1
    assert "learner: training diverged" in end.message
    assert "a gradient that is not finite" in end.message
    assert supervisor.snapshot()[0].restarts == 0
    assert supervisor_module._DIVERGED == ExitCode.DIVERGED


def test_a_part_that_is_away_is_no_crash_loop(supervise: Supervise) -> None:
    policy = RestartPolicy(first_seconds=0.02, longest_seconds=0.02, short_lives=3, outage_seconds=1000.0)
    supervisor = supervise({"learner": AWAY}, policy=policy)
    wait_until(lambda: supervisor.snapshot()[0].restarts > 2 * policy.short_lives, "more starts than short lives")
    assert supervisor.wait(0) is None


def test_a_part_that_stays_away_ends_the_run_with_the_reason(supervise: Supervise) -> None:
    policy = RestartPolicy(first_seconds=0.02, longest_seconds=0.02, outage_seconds=1.0)
    end = end_of(supervise({"learner": AWAY}, policy=policy))
    assert end.message.startswith("learner finds a part away that does not come back")
    assert "no Kafka broker answers" in end.message


def test_the_selectors_end_is_the_runs(supervise: Supervise, tmp_path: Path) -> None:
    supervisor = supervise({"selector": LEAVE, "learner": IDLE})
    learner = tree_of(pid_of(tmp_path, "learner"))
    (tmp_path / "leave").touch()
    end = end_of(supervisor)
    assert (end.outcome, end.exit_code) == (RunOutcome.FINISHED, 0)
    assert survivors(learner) == []


def test_a_selector_that_was_only_asked_to_end_comes_back(supervise: Supervise, tmp_path: Path) -> None:
    done = Event()
    supervisor = supervise({"selector": LEAVE}, finished=done.is_set)
    first = pid_of(tmp_path, "selector")
    ready_file(tmp_path, "selector").unlink()
    os.kill(first, signal.SIGTERM)
    assert pid_of(tmp_path, "selector") != first
    done.set()
    (tmp_path / "leave").touch()
    assert end_of(supervisor).outcome is RunOutcome.FINISHED


def test_stop_kills_the_stubborn_and_every_descendant(
    supervise: Supervise, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor_module, "_GRACE_SECONDS", 0.5)
    supervisor = supervise({"selector": IDLE, "rtv": FAMILY, "learner": STUBBORN})
    processes = [one for name in ("selector", "rtv", "learner") for one in tree_of(pid_of(tmp_path, name))]
    assert len(processes) == 5
    end = supervisor.stop()
    assert (end.outcome, end.exit_code) == (RunOutcome.STOPPED, 130)
    assert survivors(processes) == []


def test_a_dead_services_helpers_die_with_it(supervise: Supervise, tmp_path: Path) -> None:
    supervise({"rtv": FAMILY})
    leader, *helpers = tree_of(pid_of(tmp_path, "rtv"))
    in_group = [one for one in helpers if os.getpgid(one.pid) == leader.pid]
    assert in_group
    leader.kill()
    await_end(in_group)
    for one in survivors(helpers):  # one left the group, so nobody can know whose it was
        one.kill()


def test_the_whole_stop_fits_into_ten_seconds() -> None:
    foundations = max(broker._GRACE_SECONDS, postgres._FAST_SHUTDOWN_SECONDS)
    assert supervisor_module._SELECTOR_GRACE_SECONDS + supervisor_module._GRACE_SECONDS + foundations <= 9


def test_a_lost_broker_that_kept_nothing_ends_the_run(supervise: Supervise, tmp_path: Path) -> None:
    alive = Event()
    alive.set()
    log = tmp_path / "broker.log"
    log.write_text("out of memory\n")
    supervisor = supervise({"router": IDLE}, foundations=[Foundation(name="broker", alive=alive.is_set, log=log)])
    router = tree_of(pid_of(tmp_path, "router"))
    alive.clear()
    end = end_of(supervisor)
    assert end.exit_code == 1
    assert "broker died, and what it held is lost with it" in end.message
    assert "out of memory" in end.message
    assert survivors(router) == []


def test_a_durable_broker_is_started_again(supervise: Supervise, tmp_path: Path) -> None:
    alive = Event()
    part = Foundation(name="broker", alive=alive.is_set, log=tmp_path / "broker.log", restart=alive.set)
    supervisor = supervise({"router": IDLE}, foundations=[part])
    pid_of(tmp_path, "router")
    assert alive.is_set()
    assert supervisor.wait(0) is None


def test_a_full_disk_ends_the_run_with_the_folders_name(small_disk: Path, tmp_path: Path) -> None:
    supervisor = Supervisor([spec("learner", FILL, small_disk), spec("router", IDLE, tmp_path)], folder=small_disk)
    supervisor.start()
    end = end_of(supervisor)
    assert (end.outcome, end.exit_code) == (RunOutcome.DISK_FULL, 74)
    assert end.message.startswith(f"the disk under {small_disk} is full")
    assert supervisor.snapshot()[0].restarts == 0


@pytest.mark.parametrize("place", ["run/checkpoints", "kafka"])
def test_a_full_disk_of_a_part_is_named_by_its_own_folder(small_disk: Path, place: str) -> None:
    runs = small_disk.parent
    folder, part = runs / "run", runs / place
    folder.mkdir()
    part.parent.mkdir(exist_ok=True)
    part.symlink_to(small_disk)
    supervisor = Supervisor([spec("learner", FILL, small_disk)], folder=folder)
    supervisor.start()
    end = end_of(supervisor)
    assert end.outcome is RunOutcome.DISK_FULL
    assert end.message.startswith(f"the disk under {part} is full")


def test_a_disk_that_has_room_again_is_told_by_the_services_log(supervise: Supervise) -> None:
    end = end_of(supervise({"learner": FULL}))
    assert (end.outcome, end.exit_code) == (RunOutcome.DISK_FULL, 74)
    assert "learner found a disk full" in end.message
    assert "versions/v7: No space left on device" in end.message


def test_a_crash_loop_on_a_full_disk_is_called_a_full_disk(small_disk: Path) -> None:
    with pytest.raises(OSError, match="No space left"):
        (small_disk / "ballast").write_bytes(bytes(2**21))
    supervisor = Supervisor([spec("router", IDLE, small_disk)], folder=small_disk, policy=QUICK)
    supervisor.start()
    assert end_of(supervisor).exit_code == 74


def test_a_taken_metrics_port_is_replaced_at_the_next_start(supervise: Supervise, tmp_path: Path) -> None:
    supervisor = supervise({"router": IDLE}, policy=RestartPolicy(first_seconds=1))
    first = pid_of(tmp_path, "router")
    port = supervisor.snapshot()[0].metrics_port
    ready_file(tmp_path, "router").unlink()
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: supervisor.snapshot()[0].status is ServiceStatus.WAITING, "the router to wait")
    with socket.create_server(("127.0.0.1", port)):
        pid_of(tmp_path, "router")
        assert supervisor.snapshot()[0].metrics_port != port


def test_usage_counts_a_services_busy_cores(supervise: Supervise, tmp_path: Path) -> None:
    supervisor = supervise({"router": IDLE})
    pid_of(tmp_path, "router")
    supervisor.snapshot()
    usage = supervisor.snapshot()[0].usage
    assert 0 <= usage.cpu_cores < os.cpu_count() * 1.5
