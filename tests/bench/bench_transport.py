"""Groups a second from worker to learner on Apache Kafka, over the router: transport.512 and transport.8192.

    KAFKA_HOME=... .venv/bin/python tests/bench/bench_transport.py [--rounds N] [--tokens N ...] [--against SIDE ...]

Ours: a producer that builds, encodes and publishes as the rollout worker does, the real router, a reader that reads and
decodes as the learner does, until all groups are whole; a group is eight rollouts. Against it, in turns, on the same
bytes: the same three processes as bare loops of confluent-kafka, on the same broker, and on Redis streams that are
flushed to disk at every append. Terms differ: bare loops send bytes that are encoded already and decode nothing; an
append to Redis is on disk before it is answered, where Kafka's records are in the page cache.

The other sides run in runs/transport-venv, which is made of infra/requirements/transport.txt the first time; without
it, or without redis-server, that comparison is left out and said so. Needs KAFKA_HOME.

Every round gives one ratio to each other side; `ratios` has them, `ratio` their median. `cpu` has the CPU seconds of
each process for 1,000 rollouts, which a busy machine changes least.
"""

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psutil
from measures import measure, note, rounded
from transport_rollouts import GROUP, Rollouts, write_records
from turns import Side

from infra.local.broker import open_broker
from infra.local.ports import free_port
from infra.settings.tree import BrokerSettings, Settings
from streams.admin import create_topics, topic_specs
from streams.topics import TopicSpec

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
VENV = ROOT / "runs" / "transport-venv"
REQUIREMENTS = ROOT / "infra" / "requirements" / "transport.txt"
GROUPS = {512: 500, 8192: 60}
"""Groups of a turn by tokens: some seconds of either, 28 and 48 MB."""
OURS = "ours"
OTHERS = ("confluent", "redis", "redis-rollouts")
BARE_TOPICS = ("in", "out")
START_SECONDS = 30.0


@dataclass(frozen=True)
class Pass:
    """One turn of one side."""

    seconds: float
    cpu: dict[str, float]


@dataclass(frozen=True)
class Others:
    python: Path | None
    """None if their clients are not installed."""
    kinds: tuple[str, ...]


@dataclass
class Way:
    """One side's processes. The producer and the reader take turns; the others run all the time."""

    name: str
    produce: Side
    read: Side
    others: Mapping[str, psutil.Process]

    def turn(self) -> Pass:
        before = {name: cpu_of(process) for name, process in self.others.items()}
        started = time.monotonic()
        self.read.begin()
        self.produce.begin()
        ends = {"producer": self.produce.reply(), "reader": self.read.reply()}
        seconds = ends["reader"]["at"] - started
        cpu = {name: cpu_of(process) - before[name] for name, process in self.others.items()}
        return Pass(seconds, cpu | {name: reply["cpu"] for name, reply in ends.items()})


def cpu_of(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def settings_of(prefix: str, bootstrap: str) -> Settings:
    tree = {
        "run": {"id": prefix},
        "topics": {"prefix": prefix},
        "broker": {"kind": "cluster", "bootstrap_servers": bootstrap},
    }
    return Settings.model_validate(tree)


class Bench:
    """Starts what a case needs, below one folder."""

    def __init__(self, stack: ExitStack, folder: Path, bootstrap: str, python: Path | None) -> None:
        self._stack = stack
        self._folder = folder
        self._bootstrap = bootstrap
        self._python = python
        self._broker = next(p for p in psutil.Process().children(recursive=True) if p.name() == "java")

    def ours(self, tokens: int, groups: int) -> Way:
        settings = settings_of(f"bench{tokens}", self._bootstrap)
        create_topics(settings.broker, self._bootstrap, topic_specs(settings))
        file = self._folder / f"settings-{tokens}.json"
        file.write_text(settings.model_dump_json())
        router = [sys.executable, "-m", "infra.cli.main", "serve", "router", "--settings-file", file]
        process = self._started("router", [*router, "--metrics-port", "0"])
        script = [sys.executable, HERE / "transport_ours.py"]
        words = [file, str(tokens), str(groups)]
        return Way(
            OURS,
            self._side("produce", [*script, "produce", *words]),
            self._side("read", [*script, "read", *words]),
            {"router": process, "broker": self._broker},
        )

    def other(self, kind: str, records: Path, groups: int) -> Way | None:
        return self._confluent(records, groups) if kind == "confluent" else self._redis(kind, records, groups)

    def _confluent(self, records: Path, groups: int) -> Way:
        names = [f"{records.name}.{part}" for part in BARE_TOPICS]
        specs = [TopicSpec(name=name, partitions=4, config={"max.message.bytes": str(8 * 2**20)}) for name in names]
        create_topics(BrokerSettings(), self._bootstrap, specs)
        return self._bare("confluent", records, self._bootstrap, groups, {"broker": self._broker})

    def _redis(self, kind: str, records: Path, groups: int) -> Way | None:
        server = shutil.which("redis-server")
        if server is None:
            note("no comparison with Redis: redis-server is not installed (apt-get install redis-server)")
            return None
        port, data = free_port(), self._folder / f"{kind}-{groups}"
        data.mkdir()
        options = {"port": port, "dir": data, "bind": "127.0.0.1", "appendonly": "yes", "appendfsync": "always"}
        words = [str(word) for name, value in (options | {"save": ""}).items() for word in (f"--{name}", value)]
        process = self._started(kind, [server, *words])
        await_port(port)
        return self._bare(kind, records, f"127.0.0.1:{port}", groups, {"server": process})

    def _bare(self, kind: str, records: Path, address: str, groups: int, others: dict[str, psutil.Process]) -> Way:
        assert self._python is not None
        script = [self._python, HERE / "transport_bare.py", kind]
        words = [records, address, records.name, str(groups)]
        router = self._started(f"{kind}-router", [*script, "route", *words])
        return Way(
            kind,
            self._side(f"{kind}-produce", [*script, "produce", *words]),
            self._side(f"{kind}-read", [*script, "read", *words]),
            {"router": router, **others},
        )

    def _side(self, name: str, command: list[str | Path]) -> Side:
        return self._stack.enter_context(Side(command, {"PYTHONPATH": str(ROOT)}, self._log(name)))

    def _started(self, name: str, command: list[str | Path]) -> psutil.Process:
        with self._log(name).open("wb") as log:
            child = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | {"PYTHONPATH": str(ROOT)})
        self._stack.callback(end, child)
        return psutil.Process(child.pid)

    def _log(self, name: str) -> Path:
        return self._folder / f"{name}-{time.monotonic_ns()}.log"


def end(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(10)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def await_port(port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def compare(folder: Path, bootstrap: str, others: Others, tokens: int, rounds: int) -> None:
    groups = GROUPS.get(tokens, max(1, 400_000 // tokens))
    records = folder / f"records-{tokens}"
    size = write_records(Rollouts(tokens, groups), records)
    with ExitStack() as stack:
        bench = Bench(stack, folder, bootstrap, others.python)
        ways = [bench.ours(tokens, groups)]
        if others.python is not None:
            found = [bench.other(kind, records, groups) for kind in others.kinds]
            ways += [way for way in found if way is not None]
        passes: dict[str, list[Pass]] = {way.name: [] for way in ways}
        for number in range(rounds + 1):
            for way in ways:
                taken = way.turn()
                note(f"{tokens} {way.name}: {groups / taken.seconds:.1f} groups/s; {taken}")
                if number:  # the first turn starts clients and joins groups
                    passes[way.name].append(taken)
    report(tokens, groups, size, passes)


def report(tokens: int, groups: int, size: int, passes: dict[str, list[Pass]]) -> None:
    rollouts = groups * GROUP
    about = {"groups": groups, "bytes_a_rollout": size // rollouts, "load": round(os.getloadavg()[0], 1)}
    rates = {name: median(groups / taken.seconds for taken in found) for name, found in passes.items()}
    for name, found in passes.items():
        if name != OURS:
            ours = passes[OURS]
            ratios = [other.seconds / mine.seconds for mine, other in zip(ours, found, strict=True)]
            measure(
                f"transport.{tokens}.vs_{name}",
                rates[OURS],
                "groups/s",
                against=name,
                ratio=median(ratios),
                other=rounded(rates[name]),
                ratios=[rounded(ratio) for ratio in ratios],
                cpu=cpu_a_thousand(found, rollouts),
                **about,
            )
    measure(f"transport.{tokens}", rates[OURS], "groups/s", cpu=cpu_a_thousand(passes[OURS], rollouts), **about)


def cpu_a_thousand(found: list[Pass], rollouts: int) -> dict[str, float]:
    return {part: rounded(1000 / rollouts * median(taken.cpu[part] for taken in found)) for part in found[0].cpu}


def made_environment() -> Path | None:
    """The interpreter of the other sides; None if their clients cannot be installed."""
    python, stamp = VENV / "bin" / "python", VENV / "installed.txt"
    if not stamp.is_file() or stamp.read_text() != REQUIREMENTS.read_text():
        subprocess.run([sys.executable, "-m", "venv", "--clear", VENV], check=True)
        install = [python, "-m", "pip", "install", "--quiet", "-r", REQUIREMENTS]
        if subprocess.run(install, check=False, stdout=sys.stderr).returncode:
            note(f"no comparison: the clients of {REQUIREMENTS} cannot be installed")
            return None
        stamp.write_text(REQUIREMENTS.read_text())
    return python


@contextmanager
def started_broker(folder: Path) -> Iterator[str]:
    broker = open_broker(BrokerSettings(kind="kafka"), folder)
    broker.start()
    try:
        yield broker.bootstrap
    finally:
        broker.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, nargs="+", default=sorted(GROUPS))
    parser.add_argument("--against", nargs="*", default=OTHERS, choices=OTHERS)
    parser.add_argument("--python", type=Path, help="of an environment with the other sides' clients")
    options = parser.parse_args()
    if "KAFKA_HOME" not in os.environ:
        note("bench_transport needs Apache Kafka: set KAFKA_HOME")
        return
    others = Others(options.python or made_environment(), tuple(options.against))
    with tempfile.TemporaryDirectory(prefix="rewardstream-bench-") as name, started_broker(Path(name) / "broker") as at:
        for tokens in options.tokens:
            compare(Path(name), at, others, tokens, options.rounds)


if __name__ == "__main__":
    main()
