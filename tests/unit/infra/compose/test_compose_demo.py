"""What the compose demo concludes from what the engine and Prometheus say."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from infra.compose import demo


def ps_line(service: str, state: str, status: str) -> str:
    labels = f"com.docker.compose.depends_on=init:done:false,kafka:healthy:false,com.docker.compose.service={service}"
    return json.dumps({"Labels": labels, "State": state, "Status": status})


@pytest.mark.parametrize(
    ("state", "status", "failed", "ready"),
    [
        ("running", "Up 2 minutes (healthy)", False, True),
        ("running", "Up 3 seconds (health: starting)", False, False),
        ("running", "Up 2 minutes (unhealthy)", True, False),
        ("created", "Created", False, False),
        ("restarting", "Restarting (1) 2 seconds ago", False, False),
        ("exited", "Exited (0) 5 seconds ago", False, True),
        ("exited", "Exited (1) 5 seconds ago", True, False),
        ("exited", "Exited (137) 5 seconds ago", True, False),
        ("dead", "Dead", True, False),
    ],
)
def test_states_of_a_container(state: str, status: str, *, failed: bool, ready: bool) -> None:
    (container,) = demo.parse_containers(ps_line("router", state, status))
    assert (container.service, container.failed, container.ready) == ("router", failed, ready)


def test_containers_are_in_the_order_of_their_names() -> None:
    lines = [ps_line(name, "running", "Up") for name in ("rtv", "genrm", "kafka")]
    assert [container.service for container in demo.parse_containers("\n".join(lines))] == ["genrm", "kafka", "rtv"]


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        series = [{"metric": {"phase": "train"}, "value": [1.0, "1"]}] if "run_phase" in self.path else []
        body = json.dumps({"status": "success", "data": {"resultType": "vector", "result": series}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 (the base's name)
        """Quiet."""


@pytest.fixture
def prometheus() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_progress_names_the_phase_and_leaves_out_what_has_no_value(prometheus: str) -> None:
    assert demo.progress(prometheus) == {"phase": "train"}


def test_prometheus_that_is_not_up_yet_has_no_values() -> None:
    assert demo.query("http://127.0.0.1:1", demo.TRAINED) == []


def test_without_compose_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("sys.argv", ["demo.py"])
    assert demo.main() == 3
    assert "install one of them" in capsys.readouterr().err
