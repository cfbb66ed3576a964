"""One run under the matrix: the product's own stack on a model that is nothing but small, and what a fault needs of it.

Invariant: a run that is started again has the same id, folder, log and database, as if the same command were given
again.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import psutil
from faults.matrix.parts import ProxiedKafka, ProxiedPostgres
from faults.matrix.proxy import Proxy
from faults.matrix.watch import Watch
from kafka import KafkaConsumer
from kafka import TopicPartition as KafkaPartition
from sqlalchemy import create_engine, text
from sqlalchemy.exc import SQLAlchemyError
from support.judge_server import JudgeServer, serving
from support.tiny_judge import save_tiny_judge
from support.tiny_model import save_tiny_model

from infra.cli.prompts import ingest_splits
from infra.db.engine import connect
from infra.files.replace import replace_file
from infra.local.ports import free_port
from infra.local.service_commands import ServiceSpec, service_specs
from infra.local.stack import Stack
from infra.local.supervisor import RunEnd
from infra.settings.load import load
from infra.settings.tree import Settings
from streams.admin import list_topics
from streams.clients import confirm, make_producer, record_of, send
from streams.records import Output, Record
from streams.topics import Topic, topic_name

CLOCK = Path(__file__).parent / "clock"
CLOCK_FILE = "REWARDSTREAM_MATRIX_CLOCK"
SETTINGS = {
    "rollout": {"engine": {"max_model_tokens": 256}, "sampling": {"max_new_tokens": 6}},
    "selector": {
        "group_size": 4,
        "eval_at_start": False,
        "eval_at_end": False,
        # at most eight groups a second: a loop that only burns CPU would slow down what it is there to see
        "poll_seconds": 1.0,
        # groups of an outage end within the run
        "admission": {"groups_per_step": 4, "deadline_seconds": 60},
        "preppo": {"enabled": False},
    },
    "learner": {
        "advantage": "group",
        "learning_rate": 1e-4,
        "filter_zero_variance": False,
        "checkpoint_every": 4,
        "batch_wait_seconds": 2,
        "value": {"kind": "none"},
    },
    "genrm": {"backend": "openai", "model": "tiny", "prompt": "short", "timeout_seconds": 10},
    "broker": {"kind": "kafka", "session_timeout_seconds": 6},
    "topics": {"partitions": 2},
}
DOMAINS = {"letters": "rtv", "words": "genrm"}
"""The domain of the prompts that each scorer gets."""
_OUTCOMES = "SELECT coalesce(outcome, 'open'), count(*) FROM groups WHERE run_id = :run GROUP BY 1"
_PROMPTS = 40


def prepare(folder: Path) -> None:
    """Model, judge and prompts, once for all runs."""
    if (folder / "train.jsonl").exists():
        return
    save_tiny_model(folder / "model", seed=0)
    save_tiny_judge(folder / "judge")
    rows = [
        {
            "domain": "letters" if number % 2 else "words",
            "messages": [{"role": "user", "content": f"{number}: say a"}],
            "ground_truth": "a",
            "split": "train",
            "origin": "original",
        }
        | ({"verifier": "exact"} if number % 2 else {})
        for number in range(_PROMPTS)
    ]
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def small_disks(wanted: dict[str, tuple[Path, str]]) -> dict[str, Path]:
    """File systems in memory, which a fault can fill; none without the right to mount them."""
    mounted = {}
    for part, (folder, size) in wanted.items():
        folder.mkdir(parents=True, exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder]
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            mounted[part] = folder
    return mounted


class MatrixRun:
    """Within `with MatrixRun(folder, root) as run:` the run is going on. `root`: the folder of runs, of its own."""

    def __init__(self, folder: Path, root: Path, run_id: str, changes: dict[str, Any] | None = None) -> None:
        self.folder = folder
        self.root = root
        self._run_id = run_id
        self.disks = small_disks(
            {
                "checkpoints": (root / run_id / "checkpoints", "64m"),
                "versions": (root / run_id / "versions", "64m"),
                "broker": (root / "kafka", "512m"),
            }
        )
        """The parts that write there name them; empty where file systems cannot be mounted."""
        self.broker_proxy, self.database_proxy = Proxy(), Proxy()
        self.clocks = root / "clocks"
        self.clocks.mkdir(parents=True, exist_ok=True)
        self._judge_port = free_port()
        self.judge: JudgeServer
        self._judging: AbstractContextManager[JudgeServer] | None = None
        self.judge_up()
        self.settings = self._settings(changes or {})
        self.stack: Stack
        self._direct: Any = None
        self.starts = 0

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        try:
            if hasattr(self, "watch"):
                self.watch.close()
            if hasattr(self, "stack"):
                self.stack.stop()
        finally:
            if self._direct is not None:
                self._direct.dispose()
            self.judge_down()
            self.broker_proxy.close()
            self.database_proxy.close()
            for disk in self.disks.values():
                subprocess.run(["umount", "--lazy", disk], check=False)

    def start(self) -> None:
        stack = Stack(self.settings, self._specs)
        home = Path(os.environ["KAFKA_HOME"])
        stack.broker = ProxiedKafka(home, self.root / "kafka", stack.logs / "broker.log", self.broker_proxy)
        stack.database = ProxiedPostgres(self.root / "postgres", stack.logs / "postgres.log", self.database_proxy)
        self.stack = stack
        stack.__enter__()
        self.resolved = stack.settings
        self._direct = create_engine(stack.database.direct, pool_pre_ping=True)
        self.watch = Watch(self.query, self.id)
        if not self.starts:
            engine = connect(stack.database.direct)
            ingest_splits(engine, stack.settings)
            engine.dispose()
        self.starts += 1
        stack.start_services()

    def stop_stack(self) -> float:
        """Stops everything, as Ctrl-C does; returns the seconds that it took."""
        asked = time.monotonic()
        self.watch.close()
        self.stack.stop()
        self._direct.dispose()
        return time.monotonic() - asked

    @property
    def id(self) -> str:
        return self.stack.run_id

    @property
    def ended(self) -> RunEnd | None:
        assert self.stack.supervisor is not None
        return self.stack.supervisor.wait(0)

    # what faults are made of

    def pid(self, service: str) -> int | None:
        """None while it waits to be started again."""
        assert self.stack.supervisor is not None
        return next(one.pid for one in self.stack.supervisor.snapshot() if one.name == service)

    def restarts(self) -> dict[str, int]:
        assert self.stack.supervisor is not None
        return {one.name: one.restarts for one in self.stack.supervisor.snapshot() if one.restarts}

    def part_tree(self, name: str) -> list[psutil.Process]:
        """The processes of `broker` or `postgres`."""
        child = getattr(self.stack, "broker" if name == "broker" else "database")._child
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(child.pid)
            return [process, *process.children(recursive=True)]
        return []

    def spawn(self, service: str, log: str) -> "subprocess.Popen[bytes]":
        """One more process of a service, as somebody starts it by hand."""
        spec = next(each for each in self._specs(self.resolved, self.stack.settings_file) if each.name == service)
        with (self.stack.logs / log).open("ab") as out:
            return subprocess.Popen(spec.argv(0), stdout=out, stderr=out, env={**os.environ, **spec.env})

    def judge_up(self) -> None:
        if self._judging is None:
            self._judging = serving(self.folder / "judge", self._judge_port)
            self.judge = self._judging.__enter__()

    def judge_down(self) -> None:
        if self._judging is not None:
            self._judging.__exit__(None, None, None)
            self._judging = None

    def set_clock(self, service: str, seconds: float) -> None:
        replace_file(self.clocks / service, str(seconds).encode())

    def topic(self, topic: Topic) -> str:
        return topic_name(self.resolved.topics.prefix, topic)

    def recent(self, topic: Topic, count: int) -> list[Record]:
        """About `count` of the newest records of a topic."""
        consumer = KafkaConsumer(bootstrap_servers=self.stack.broker.direct, enable_auto_commit=False)
        try:
            name = self.topic(topic)
            parts = [KafkaPartition(name, number) for number in consumer.partitions_for_topic(name) or ()]
            consumer.assign(parts)
            ends, begins = consumer.end_offsets(parts), consumer.beginning_offsets(parts)
            each = max(1, count // max(1, len(parts)))
            for part in parts:
                consumer.seek(part, max(begins[part], ends[part] - each))
            found: list[Record] = []
            until = time.monotonic() + 3
            while time.monotonic() < until and any(consumer.position(part) < ends[part] for part in parts):
                found += [record_of(raw) for raws in consumer.poll(timeout_ms=200).values() for raw in raws]
            return found
        finally:
            consumer.close()

    def write(self, records: Sequence[Record]) -> None:
        """Writes records past the proxy, under their own topic, key and headers."""
        producer = make_producer(self.resolved.broker, self.stack.broker.direct)
        try:
            outputs = [Output(record.topic, record.key, record.value, record.headers) for record in records]
            confirm(producer, [send(producer, output) for output in outputs], 20)
        finally:
            producer.close()

    def partitions(self) -> dict[str, int]:
        return list_topics(self.resolved.broker, self.stack.broker.direct, self.resolved.topics.prefix)

    # what is seen of it

    def query(self, statement: str, **values: object) -> list[tuple[Any, ...]] | None:
        """Past the proxy; None while the database is away."""
        try:
            with self._direct.connect() as connection:
                return [tuple(row) for row in connection.execute(text(statement), values)]
        except SQLAlchemyError:
            return None

    def outcomes(self) -> dict[str, int]:
        return dict(self.query(_OUTCOMES, run=self.id) or ())

    def finish(self, patience: float) -> bool:
        """Lets the run end by itself: no more groups, then the drain. Returns whether it did in time."""
        raw = json.loads(self.stack.settings_file.read_text())
        raw["selector"]["max_steps"] = 1
        replace_file(self.stack.settings_file, json.dumps(raw).encode(), mode=0o600)
        if (selector := self.pid("selector")) is not None:
            os.kill(selector, signal.SIGTERM)
        return self.stack.wait(patience) is not None

    def audit(self) -> dict[str, Any]:
        """What `rewardstream audit --json` says, as a user calls it."""
        command = [sys.executable, "-m", "infra.cli.main", "audit", "--run", self.id, "--json"]
        command += ["--run-folder", str(self.root)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        try:
            return dict(json.loads(done.stdout))
        except ValueError:
            return {"error": done.stderr[-2000:], "violations": []}

    def _specs(self, settings: Settings, file: Path) -> list[ServiceSpec]:
        path = os.pathsep.join([str(CLOCK), os.environ.get("PYTHONPATH", "")])
        return [
            replace(spec, env={**spec.env, "PYTHONPATH": path, CLOCK_FILE: str(self.clocks / spec.name)})
            for spec in service_specs(settings, file)
        ]

    def _settings(self, changes: dict[str, Any]) -> Settings:
        tree = json.loads(json.dumps(SETTINGS))
        tree["genrm"]["endpoint"] = self.judge.endpoint
        tree["run"] = {"folder": str(self.root), "id": self._run_id}
        tree["model"] = {"path": str(self.folder / "model")}
        tree["data"] = {"prompts": str(self.folder / "train.jsonl")}
        tree["broker"]["kafka_home"] = os.environ["KAFKA_HOME"]
        for section, values in changes.items():
            tree[section] = {**tree.get(section, {}), **values}
        file = self.root / "matrix.json"
        file.write_text(json.dumps(tree))
        return load(str(file)).settings
