"""`make compose-demo`: starts the stack in containers, waits until groups are trained, and takes it down again.

Invariant: however it ends, everything that was started is taken down, with its data except for the prepared models. The
exit code is 0 only if Prometheus counted the groups and every container was healthy at that time. It needs a Docker
engine, and Python without any package.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.services import Service

FILE = Path(__file__).with_name("docker-compose.yml")
PROJECT = "rewardstream-demo"
"""A project of its own, so that taking it down does not touch the data of another stack."""
KEPT_VOLUME = "prepared"
TRAINED = 'sum(rewardstream_groups_closed_total{outcome="trained"})'
PROGRESS = {
    "phase": "rewardstream_run_phase == 1",
    "version": "max(rewardstream_policy_version)",
    "rollouts": "sum(rewardstream_rollouts_total)",
    "closed": "sum(rewardstream_groups_closed_total)",
    "trained": TRAINED,
}
POLL_SECONDS = 5.0
"""The interval at which Prometheus scrapes."""


class StackError(RuntimeError):
    """The stack cannot reach its goal; the text names the container."""


@dataclass(frozen=True, slots=True)
class Container:
    service: str
    state: str
    """created, running, restarting, exited, dead."""
    status: str
    """Status in the words of `docker ps`: `Up 2 minutes (healthy)`, `Exited (1) 3 seconds ago`."""

    @property
    def failed(self) -> bool:
        """Whether it ended with an error and is not started again, or no longer passes its health check."""
        ended = self.state in {"exited", "dead"} and not self.status.startswith("Exited (0)")
        return ended or "(unhealthy)" in self.status

    @property
    def ready(self) -> bool:
        return "(healthy)" in self.status or self.status.startswith("Exited (0)")


def compose_command() -> list[str]:
    """The command of the plugin if it is installed, else docker-compose. Raises StackError."""
    for command in (["docker", "compose"], ["docker-compose"]):
        try:
            subprocess.run([*command, "version"], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        return [*command, "--project-name", PROJECT, "--file", str(FILE)]
    raise StackError("neither `docker compose` nor `docker-compose` runs here: install one of them")


def docker(*arguments: str) -> str:
    """Runs docker and returns its output. Raises CalledProcessError."""
    return subprocess.run(["docker", *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout


def containers() -> list[Container]:
    label = f"label=com.docker.compose.project={PROJECT}"
    return parse_containers(docker("ps", "--all", "--filter", label, "--format", "{{json .}}"))


def parse_containers(output: str) -> list[Container]:
    """Parses one JSON object per line, as `docker ps --format '{{json .}}'` prints them."""
    found = []
    for line in output.splitlines():
        row = json.loads(line)
        labels = dict(label.partition("=")[::2] for label in row["Labels"].split(","))
        found.append(Container(labels["com.docker.compose.service"], row["State"], row["Status"]))
    return sorted(found, key=lambda container: container.service)


def query(prometheus: str, expression: str) -> list[tuple[dict[str, str], float]]:
    """(labels, value) of each series; empty if Prometheus does not answer yet."""
    url = f"{prometheus}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
    try:
        with urllib.request.urlopen(url, timeout=POLL_SECONDS) as response:  # noqa: S310 (our own http URL)
            rows = json.load(response)["data"]["result"]
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return []
    return [(row["metric"], float(row["value"][1])) for row in rows]


def progress(prometheus: str) -> dict[str, str]:
    shown = {}
    for name, expression in PROGRESS.items():
        for labels, value in query(prometheus, expression):
            shown[name] = labels["phase"] if name == "phase" else f"{value:g}"
    return shown


def wait(prometheus: str, groups: int, limit: float, say: Callable[[str], None]) -> None:
    """Waits until `groups` groups are trained and every container is healthy. Raises StackError."""
    deadline, last = time.monotonic() + limit, ""
    while time.monotonic() < deadline:
        stack = containers()
        if failed := [container for container in stack if container.failed]:
            raise StackError("; ".join(f"{container.service}: {container.status}" for container in failed))
        line = "  ".join(f"{name} {value}" for name, value in progress(prometheus).items())
        if line != last:
            say(line or "waiting for the first metrics")
            last = line
        trained = sum(value for _, value in query(prometheus, TRAINED))
        if trained >= groups and all(container.ready for container in stack):
            return
        time.sleep(POLL_SECONDS)
    states = ", ".join(f"{container.service}: {container.status}" for container in containers())
    raise StackError(f"{groups} groups were not trained within {limit:g} s ({states})")


def run(compose: Sequence[str], groups: int, limit: float) -> None:
    """Builds, prepares and starts the stack, and waits for its goal. Raises StackError, CalledProcessError."""
    started = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - started:6.0f} s  {text}", flush=True)

    prometheus = f"http://127.0.0.1:{os.environ.get('PROMETHEUS_PORT', '9090')}"
    subprocess.run([*compose, "build"], check=True)
    say("image built")
    subprocess.run([*compose, "run", "--rm", "-T", "prepare"], check=True)
    say("models and prompts prepared")
    subprocess.run([*compose, "up", "--detach", "prometheus", *Service], check=True)
    say(f"services started; metrics at {prometheus}")
    wait(prometheus, groups, limit, say)
    for container in containers():
        say(f"{container.service}: {container.status}")


def take_down(compose: Sequence[str]) -> None:
    """Removes containers, network and all volumes except the one with the prepared models. Raises CalledProcessError.

    From here on this process and the commands that it starts ignore signals: `make` and a terminal each send one.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    subprocess.run([*compose, "rm", "--force", "--stop", "-v"], check=True)
    subprocess.run([*compose, "down", "--remove-orphans"], check=True)
    label = f"label=com.docker.compose.project={PROJECT}"
    volumes = docker("volume", "ls", "--filter", label, "--format", "{{.Name}}").split()
    if removed := [name for name in volumes if not name.endswith(f"_{KEPT_VOLUME}")]:
        docker("volume", "rm", *removed)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--groups", type=int, default=1, help="trained groups to wait for (default: 1)")
    parser.add_argument("--limit", type=float, default=1800.0, help="seconds to wait for them at most (default: 1800)")
    parser.add_argument("--keep", action="store_true", help="leave the stack running")
    options = parser.parse_args()
    try:
        compose = compose_command()
    except StackError as error:
        print(f"error: {error}", file=sys.stderr)
        return 3
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # SIGTERM takes the stack down, as Ctrl-C does
    try:
        run(compose, options.groups, options.limit)
    except (StackError, subprocess.CalledProcessError) as error:
        print(f"error: {error}", file=sys.stderr)
        subprocess.run([*compose, "logs", "--tail", "20"], check=False)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        if not options.keep:
            take_down(compose)
    print(f"{options.groups} or more groups were trained, and every container was healthy")
    return 0


if __name__ == "__main__":
    sys.exit(main())
