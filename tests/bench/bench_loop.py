"""The whole loop, engine to learner through the log, against the same work in one process without streams.

Run by hand: `python tests/bench/bench_loop.py [--steps 12]`, with KAFKA_HOME set for Kafka itself, else the embedded
broker. It takes about four minutes, and more where the demo's policy and judge are not prepared yet.

Both sides train the demo's policy on the same tickets in the same order: 8 groups of 8 responses a step, scored by the
same verifiers and judge. No group is filtered, so that a step is the same work on both sides; no checkpoint is written.
What differs is how it is arranged: the loop's services share the cores, the single process (single_process.py) gives
them to one phase after the other. Measured in tokens trained on a second after the first steps; what the policy learns
on the way changes lengths a little, so tokens and not groups are counted. stderr has the CPU seconds of each process.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import psutil
from measures import measure, note, rounded

from infra.cli.demo import with_prepared
from infra.cli.options import resolve
from infra.cli.prepare_process import prepare_apart
from infra.cli.prompts import ingest_splits
from infra.db.engine import connect
from infra.files.run_files import STEPS_FILE
from infra.local.stack import Stack
from infra.settings.tree import Settings
from streams.clients import LogReader
from streams.codec import decode
from streams.messages import PromptTicket
from streams.topics import Topic, topic_name

SKIPPED = 3
"""Steps before the loop is in its stride: the engine has made two batches before the learner begins."""
AHEAD = 3
"""Steps that the loop is not asked for and yet dispatches for: its engine must not run dry before the last one."""
LIMIT_SECONDS = 400.0
PHASES = ("optimise", "wait", "publish", "background", "total")
"""Phases of the learner's steps: `background` runs while the next step optimises, whose `wait` for it is part of it."""
SETTINGS = {
    "selector.max_train_seconds": 0,
    "selector.eval_at_start": "false",
    "selector.eval_at_end": "false",
    "selector.preppo.enabled": "false",
    "learner.filter_zero_variance": "false",
    "learner.checkpoint_every": 1000,
}


@dataclass(frozen=True)
class Side:
    """What one side did in the measured steps."""

    seconds: float
    tokens: int
    groups: int
    cpu: dict[str, float]
    """CPU seconds by process."""

    @property
    def rate(self) -> float:
        return self.tokens / self.seconds

    @property
    def cpu_rate(self) -> float:
        """Tokens a CPU second."""
        return self.tokens / sum(self.cpu.values())


class LoopError(RuntimeError):
    """The loop did not make its steps; the text says where to look."""


def settings_of(steps: int, folder: Path) -> Settings:
    values = SETTINGS | {"selector.max_steps": SKIPPED + steps + AHEAD, "run.folder": folder}
    settings = resolve("demo", [f"{path}={value}" for path, value in values.items()]).settings
    with redirect_stdout(sys.stderr):  # its progress
        return with_prepared(settings, prepare_apart(settings))


def run_loop(settings: Settings, steps: int) -> tuple[Side, list[PromptTicket]]:
    """Raises LoopError."""
    with Stack(settings) as stack:
        engine = connect(stack.settings.database.url)
        ingest_splits(engine, stack.settings)
        engine.dispose()
        stack.start_services()
        before = until(stack, SKIPPED)
        after = until(stack, SKIPPED + steps)
        lines = lines_of(stack)[: SKIPPED + steps]
        tickets = tickets_of(stack.settings)
    measured = lines[SKIPPED:]
    phases = {phase: sum(line["seconds"].get(phase, 0.0) for line in measured) for phase in PHASES}
    note("learner, seconds: " + shown(phases))
    return Side(
        seconds=measured[-1]["at"] - lines[SKIPPED - 1]["at"],
        tokens=sum(line["targets"] for line in measured),
        groups=sum(line["groups"] for line in measured),
        cpu={name: after[name] - before[name] for name in before},
    ), tickets


def until(stack: Stack, steps: int) -> dict[str, float]:
    """Waits for that many steps; CPU seconds of each service so far."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while len(lines_of(stack)) < steps:
        end = stack.wait(0.1)
        if end is not None or time.monotonic() > deadline:
            raise LoopError(f"{len(lines_of(stack))} of {steps} steps: {end or 'too slow'}; see {stack.logs}")
    assert stack.supervisor is not None
    states = stack.supervisor.gather_weights()
    died = [state.name for state in states if state.restarts or state.pid is None]
    if died:
        raise LoopError(f"{', '.join(died)} died, so this is no measurement; see {stack.logs}")
    found = {state.name: cpu_of(state.pid) for state in states if state.pid is not None}
    return found | {"bench and broker": cpu_of(os.getpid()) - sum(found.values())}


def cpu_of(pid: int) -> float:
    """With its children, and those that have ended."""
    whole = psutil.Process(pid)
    times = [process.cpu_times() for process in [whole, *whole.children(recursive=True)]]
    return float(sum(each.user + each.system for each in times))


def lines_of(stack: Stack) -> list[dict[str, Any]]:
    file = stack.folder / STEPS_FILE
    return [json.loads(line) for line in file.read_bytes().splitlines()] if file.exists() else []


def tickets_of(settings: Settings) -> list[PromptTicket]:
    topic = topic_name(settings.topics.prefix, Topic.PROMPTS)
    with LogReader(settings.broker, settings.broker.bootstrap_servers, [topic]) as reader:
        tickets = [decode(record.value, PromptTicket) for record in reader.read_to_end()]
    return sorted(tickets, key=lambda ticket: ticket.seq)


def run_single(settings: Settings, tickets: list[PromptTicket], steps: int, folder: Path) -> Side:
    (folder / "settings.json").write_text(settings.model_dump_json())
    (folder / "tickets.bin").write_bytes(msgspec.msgpack.encode(tickets))
    script = Path(__file__).with_name("single_process.py")
    command = [sys.executable, str(script), str(folder / "settings.json"), str(folder / "tickets.bin")]
    command.append(str(SKIPPED + steps))
    env = os.environ | {"OMP_NUM_THREADS": str(settings.learner.threads), "TOKENIZERS_PARALLELISM": "false"}
    env.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the services': a thread that spins counts as work
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=True)
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    measured = lines[SKIPPED:]
    phases = ("generate", "score", "train", "copy")
    note("single process, seconds: " + shown({name: sum(line[name] for line in measured) for name in phases}))
    return Side(
        seconds=measured[-1]["at"] - lines[SKIPPED - 1]["at"],
        tokens=sum(line["targets"] for line in measured),
        groups=sum(line["groups"] for line in measured),
        cpu={"single process": measured[-1]["cpu"] - lines[SKIPPED - 1]["cpu"]},
    )


def shown(numbers: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.1f}" for name, value in numbers.items())


def describe(name: str, side: Side) -> None:
    note(f"{name}: {side.groups} groups, {side.tokens} tokens in {side.seconds:.1f} s, CPU seconds: {shown(side.cpu)}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=12)
    steps = parser.parse_args().steps
    with TemporaryDirectory(prefix="rewardstream-bench-") as temporary:
        folder = Path(temporary)
        settings = settings_of(steps, folder)
        loop, tickets = run_loop(settings, steps)
        describe("loop", loop)
        single = run_single(settings, tickets, steps, folder)
        describe("single process", single)
    measure(
        "loop.vs_single_process",
        loop.rate,
        "trained tokens/s",
        against="the same work in one process without streams",
        ratio=loop.rate / single.rate,
        cpu_ratio=rounded(loop.cpu_rate / single.cpu_rate),
        steps=steps,
        tokens_a_group=round(loop.tokens / loop.groups, 1),
        tokens_a_group_single=round(single.tokens / single.groups, 1),
        cores=os.cpu_count(),
        broker="kafka" if os.environ.get("KAFKA_HOME") else "embedded",
    )


if __name__ == "__main__":
    main()
