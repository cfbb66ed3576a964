"""Artifacts of the preparation, cached under the hash of the inputs that they were made from.

Invariant: an artifact's folder is complete or absent, and its name is the hash of everything that decides its
content. It is
made in a temporary folder and renamed; an interrupt or an error leaves nothing half-made.
"""

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.files.folders import atomic_folder, remove_unfinished
from infra.files.lock import locked

REPORT = "report.json"
_DIGITS = 16


@dataclass(frozen=True, slots=True)
class Artifact:
    folder: Path
    made: bool
    """False if it existed already."""
    seconds: float
    """Wall-clock time of making it, whether now or in an earlier process."""
    cpu_seconds: float
    report: dict[str, Any]
    """The return value of its maker."""


def ensure_artifact(
    root: Path, name: str, inputs: Mapping[str, Any], make: Callable[[Path], dict[str, Any]]
) -> Artifact:
    """Returns the artifact in `root/name-hash`; if it does not exist, `make(folder)` makes it and returns its report.

    Two processes that ask for the same artifact make it once. Raises what `make` raises, and OSError.
    """
    target = root / f"{name}-{content_hash(inputs)}"
    if not (target / REPORT).is_file():
        root.mkdir(parents=True, exist_ok=True)
        with locked(root / f".{name}.lock"):
            if not (target / REPORT).is_file():
                remove_unfinished(root, f"{name}-")  # left by a killed process: this one holds the lock
                _make_artifact(target, make)
                return _read_artifact(target, made=True)
    return _read_artifact(target, made=False)


def content_hash(inputs: Mapping[str, Any]) -> str:
    """Hashes JSON-like values. Raises TypeError on anything else."""
    canonical = json.dumps(inputs, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:_DIGITS]


def model_hash(folder: Path) -> str:
    """Hashes the files of the folder that determine what the model and its tokenizer do."""
    found = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.suffix in {".safetensors", ".json", ".jinja", ".model"} and path.name != REPORT:
            found.update(path.name.encode())
            with path.open("rb") as file:
                found.update(hashlib.file_digest(file, "sha256").digest())
    return found.hexdigest()[:_DIGITS]


def _make_artifact(target: Path, make: Callable[[Path], dict[str, Any]]) -> None:
    started, cpu = time.monotonic(), time.process_time()
    with atomic_folder(target) as folder:
        made = make(folder)
        costs = {"seconds": time.monotonic() - started, "cpu_seconds": time.process_time() - cpu}
        (folder / REPORT).write_text(json.dumps(costs | {"report": made}, indent=2), encoding="utf-8")


def _read_artifact(target: Path, *, made: bool) -> Artifact:
    written = json.loads((target / REPORT).read_text(encoding="utf-8"))
    return Artifact(target, made, written["seconds"], written["cpu_seconds"], written["report"])
