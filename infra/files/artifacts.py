"""Artifacts of the preparation, cached under the hash of the inputs that they were made from.

Invariant: an artifact's folder is complete or absent, and its name is the hash of everything that decides its
content. It is
made in a temporary folder and renamed; an interrupt or an error leaves nothing half-made.
"""

import hashlib
import json
import shutil
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
    """False if it existed already, or was kept from an earlier time."""
    seconds: float
    """Wall-clock time of making it, whether now or in an earlier process."""
    cpu_seconds: float
    report: dict[str, Any]
    """The return value of its maker."""


def ensure_artifact(
    root: Path,
    name: str,
    inputs: Mapping[str, Any],
    make: Callable[[Path], dict[str, Any]],
    kept: Path | None = None,
) -> Artifact:
    """Returns the artifact in `root/name-hash`; if it does not exist, `make(folder)` makes it and returns its report.

    `kept` is a folder with artifacts of an earlier time: if `kept/name` was made from the same inputs, it is copied
    instead. Two processes that ask for the same artifact make it once. Raises what `make` raises, and OSError.
    """
    target = root / artifact_name(name, inputs)
    if not (target / REPORT).is_file():
        root.mkdir(parents=True, exist_ok=True)
        with locked(root / f".{name}.lock"):
            if not (target / REPORT).is_file():
                remove_unfinished(root, f"{name}-")  # left by a killed process: this one holds the lock
                if kept is not None and made_from(kept / name) == target.name:
                    _copy_artifact(kept / name, target)
                else:
                    _make_artifact(target, make)
                    return _read_artifact(target, made=True)
    return _read_artifact(target, made=False)


def artifact_name(name: str, inputs: Mapping[str, Any]) -> str:
    return f"{name}-{content_hash(inputs)}"


def made_from(folder: Path) -> str | None:
    """Returns the name that the artifact in `folder` was made under, which holds its inputs' hash; None if there is
    none.
    """
    try:
        name: str = json.loads((folder / REPORT).read_text(encoding="utf-8"))["name"]
    except FileNotFoundError:
        return None
    return name


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
        written = {
            "name": target.name,
            "seconds": round(time.monotonic() - started, 3),
            "cpu_seconds": round(time.process_time() - cpu, 3),
            "report": made,
        }
        (folder / REPORT).write_text(json.dumps(written, indent=2) + "\n", encoding="utf-8")


def _copy_artifact(source: Path, target: Path) -> None:
    with atomic_folder(target) as folder:
        shutil.copytree(source, folder, dirs_exist_ok=True)


def _read_artifact(target: Path, *, made: bool) -> Artifact:
    written = json.loads((target / REPORT).read_text(encoding="utf-8"))
    return Artifact(target, made, written["seconds"], written["cpu_seconds"], written["report"])
