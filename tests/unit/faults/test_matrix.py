"""What the fault matrix counts, and that it goes on where it stopped; `make faults` makes the faults."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from faults.matrix.driver import plan
from faults.matrix.kinds.registry import KINDS
from faults.matrix.proxy import Proxy
from faults.matrix.results import AuditLine, InjectionLine, Results, table

from infra.local.ports import LOOPBACK

WHAT = {name: kind.what for name, kind in KINDS.items()}
LINE = InjectionLine(run="r", kind="kill-router", at=1.0, seconds=0.0, recovery=2.0, among=1)
AUDIT = AuditLine(run="r", seed=0, finished=True, seconds=60.0, outcomes={"trained": 4}, restarts={}, violations=[])


@pytest.fixture
def results(tmp_path: Path) -> Results:
    return Results(tmp_path / "faults.jsonl")


def read_again(results: Results) -> Results:
    return Results(results._file)


def test_there_are_many_kinds_and_each_is_told_apart() -> None:
    assert len(KINDS) >= 16
    assert len(set(WHAT.values())) == len(KINDS)
    for kind in KINDS.values():
        assert kind(Random(0)).seconds in kind.lasts
        assert "|" not in kind.what


def test_an_injection_counts_once_its_run_is_audited(results: Results) -> None:
    results.append(LINE)
    assert plan(read_again(results), ["kill-router", "poison"], 2) == {"kill-router": 2, "poison": 2}
    results.append(AUDIT)
    assert plan(read_again(results), ["kill-router", "poison"], 2) == {"kill-router": 1, "poison": 2}
    results.append(replace(LINE, run="another"))
    assert plan(read_again(results), ["kill-router"], 2) == {"kill-router": 1}


def test_what_the_audit_says_is_counted_for_each_kind_of_the_run(results: Results) -> None:
    violations = [
        {"kind": kind, "group": "r:1", "detail": ""} for kind in ("never_closed", "ticket_lost", "trained_twice")
    ]
    for line in (LINE, replace(LINE, kind="poison"), replace(LINE, run="s"), replace(AUDIT, run="s")):
        results.append(line)
    results.append(replace(AUDIT, violations=violations))
    page = table(read_again(results), WHAT)
    assert "\n3 injections of 2 kinds in 2 runs" in page
    assert "3 violations" in page
    assert f"| `kill-router` | {WHAT['kill-router']} | 2 | 0 | 2 | 1 | 2.0 | 2.0 |" in page
    assert "- Run `r` finished: 1 never_closed, 1 ticket_lost, 1 trained_twice." in page
    assert not results.sound


def test_a_fault_without_recovery_is_told_as_such(results: Results) -> None:
    for line in (LINE, replace(LINE, recovery=None), AUDIT):
        results.append(line)
    assert "| 2 | 0 | 0 | 0 | 2.0 | never |" in table(results, WHAT)
    assert not results.sound


def test_a_run_that_did_not_finish_is_told_as_such(results: Results) -> None:
    results.append(replace(AUDIT, finished=False, error="it did not drain"))
    assert "- Run `r` did not finish: no violation; it did not drain." in table(results, WHAT)
    assert not results.sound


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that sends back what it gets."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1024):
            writer.write(data)
        writer.close()

    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(answer, LOOPBACK, 0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield server.sockets[0].getsockname()[1]
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    server.close()


def test_the_proxy_passes_drops_stalls_and_refuses(echo: int) -> None:
    proxy = Proxy()
    proxy.aim(echo)
    try:
        with connection(proxy) as client:
            assert ask(client, b"one") == b"one"
            proxy.stall()
            client.sendall(b"two")
            client.settimeout(0.2)
            with pytest.raises(TimeoutError):
                client.recv(16)
            client.settimeout(10)
            proxy.flow()
            assert client.recv(16) == b"two"
            proxy.drop()
            assert ended(client)
        with connection(proxy) as client:
            assert ask(client, b"three") == b"three"
            proxy.shut()
            assert ended(client)
        with pytest.raises(ConnectionRefusedError):
            connection(proxy)
        proxy.open()
        with connection(proxy) as client:
            assert ask(client, b"four") == b"four"
    finally:
        proxy.close()


def connection(proxy: Proxy) -> socket.socket:
    return socket.create_connection((LOOPBACK, proxy.port), timeout=10)


def ask(client: socket.socket, data: bytes) -> bytes:
    client.sendall(data)
    return client.recv(16)


def ended(client: socket.socket) -> bool:
    try:
        return client.recv(16) == b""
    except ConnectionError:
        return True
