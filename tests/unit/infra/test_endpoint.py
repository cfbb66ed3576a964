"""The endpoint of a process: metrics, and the answers to Kubernetes' probes."""

import socket
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from infra import endpoint, readiness
from infra.cli import torchrun
from infra.local.ports import free_port


@pytest.fixture(autouse=True)
def loading() -> Iterator[None]:
    readiness.works.clear()
    yield
    readiness.works.clear()


Serve = Callable[..., int]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts an endpoint and returns its port."""
    with ExitStack() as stack:

        def start(*, with_metrics: bool = True) -> int:
            port = free_port()
            stack.callback(endpoint.serve("127.0.0.1", port, with_metrics=with_metrics))
            return port

        yield start


def ask(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_a_process_is_healthy_while_it_loads_and_ready_when_it_works(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(readiness.READY_FILE, raising=False)
    port = serve()
    assert ask(port, "/healthz") == (200, "ok\n")
    assert ask(port, "/readyz") == (503, "loading\n")
    readiness.mark_ready()
    assert ask(port, "/readyz") == (200, "ready\n")


def test_metrics_are_where_they_were(serve: Serve) -> None:
    status, text = ask(serve(), "/metrics")
    assert status == 200
    assert "rewardstream_policy_version" in text


def test_a_follower_answers_probes_and_repeats_no_metrics(serve: Serve) -> None:
    port = serve(with_metrics=False)
    assert ask(port, "/healthz")[0] == 200
    assert ask(port, "/metrics")[0] == 404


def test_port_0_starts_nothing_and_a_taken_one_is_an_error() -> None:
    endpoint.serve("127.0.0.1", 0)()
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        endpoint.serve("127.0.0.1", taken.getsockname()[1])


@pytest.mark.parametrize(
    ("rank", "local_rank", "expected"),
    [
        (None, None, ["leads", "leads_host"]),
        ("0", "0", ["leads", "leads_host"]),
        ("1", "1", []),
        ("8", "0", ["leads_host"]),
    ],
)
def test_one_process_of_each_host_answers_and_the_first_of_all_leads(
    monkeypatch: pytest.MonkeyPatch, rank: str | None, local_rank: str | None, expected: list[str]
) -> None:
    for name, value in (("RANK", rank), ("LOCAL_RANK", local_rank)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    assert [question.__name__ for question in (torchrun.leads, torchrun.leads_host) if question()] == expected
