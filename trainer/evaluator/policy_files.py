"""Finds the model that is to be evaluated: a folder, a version or checkpoint of a run, or the demo's model.

Invariant: the digest depends on the weights and on how text becomes tokens, and on nothing else, so a model keeps its
results under any name and in any folder.
"""

import hashlib
import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from infra.settings.load import load
from infra.settings.tree import Settings
from streams.messages import WeightsKind
from trainer.distributed.tensor_files import TensorFilesError
from trainer.weights.export import exported, is_checkpoint
from workers.models.model_files import (
    ADAPTER_CONFIG,
    ADAPTER_FILE,
    DEMO_MODEL,
    WEIGHTS_FILE,
    WEIGHTS_INDEX,
    ModelFilesError,
    file_sha256,
    resolve_model,
)

_VERSION_FOLDER = re.compile(r"(?:lineage(?P<lineage>\d+)-)?v(?P<version>\d+)")
_PUBLISHED = "lineage*-v*"
_KINDS = ("versions", "checkpoints")
_DEPTH = 2
"""A version lies in its kind's folder, a checkpoint in its learner's folder there."""
_TEXT_FILES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
"""Files that decide which tokens a prompt becomes, if the folder has them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyFiles:
    """A model's files, and where they come from."""

    name: str
    """The model as it was named."""
    base: Path
    """The folder that an engine loads first; the weights themselves if they are whole."""
    weights: Path
    kind: WeightsKind
    files: dict[str, str]
    """sha256 of every file of weights, by name."""
    digest: str
    """64 hexadecimal digits."""
    lora_rank: int = 0
    source_run: str | None = None
    """Id of the run that made it."""
    lineage: int = 0
    version: int = 0

    @property
    def main_file(self) -> str:
        """The file whose digest is announced."""
        if self.kind is WeightsKind.ADAPTER:
            return ADAPTER_FILE
        return WEIGHTS_FILE if WEIGHTS_FILE in self.files else WEIGHTS_INDEX


def find_policy(name: str, runs: Path, prepared: Path) -> PolicyFiles:
    """The model of this name: a folder as transformers or peft writes it, RUN:VERSION, RUN (its newest version), or the
    demo's model. `runs` is the folder of runs, `prepared` where the demo's model is unpacked.

    Raises ModelFilesError.
    """
    if name == DEMO_MODEL:
        return _from_folder(name, resolve_model(name, prepared, setting="--model"), None)
    folder = Path(name)
    if not folder.is_dir():
        folder = _version_of_run(name, runs)
    run = _run_of(folder)
    of_run = None if run is None else load(str(run / "settings.json")).settings
    if not is_checkpoint(folder):
        return _from_folder(name, folder, of_run)
    try:
        weights = exported(folder, prepared)
    except TensorFilesError as error:
        raise ModelFilesError(f"--model {name}: {folder}: {error}") from error
    version = _VERSION_FOLDER.fullmatch(folder.resolve().name)
    return replace(_from_folder(name, weights, of_run), version=int(version["version"]) if version else 0)


def settings_file_of(name: str, runs: Path) -> Path | None:
    """The settings.json of the run that made the model of this name; None if it is not of a run.

    Raises ModelFilesError.
    """
    if name == DEMO_MODEL:
        return None
    folder = Path(name)
    run = _run_of(folder if folder.is_dir() else _version_of_run(name, runs))
    return None if run is None else run / "settings.json"


def _version_of_run(name: str, runs: Path) -> Path:
    run, _, version = name.partition(":")
    folder = runs / run / "versions"
    if "/" in run or not folder.is_dir():
        raise ModelFilesError(
            f"--model {name}: neither a folder nor a run in {runs.resolve()} with versions; give a folder with "
            f"config.json and {WEIGHTS_FILE}, RUN:VERSION, or {DEMO_MODEL!r}"
        )
    published = sorted(folder.glob(_PUBLISHED))
    found = [path for path in published if version in ("", "latest") or _number(path) == _version_number(version)]
    if not found:
        kept = ", ".join(str(_number(path)) for path in published) or "none"
        raise ModelFilesError(
            f"--model {name}: run {run} keeps no version {version or 'yet'}, only {kept}; learner.keep_versions sets "
            "how many are kept"
        )
    return found[-1]  # of the highest lineage, in which a resumed learner made it again


def _version_number(text: str) -> int | None:
    return int(text) if text.isdigit() else None


def _number(folder: Path) -> int:
    match = _VERSION_FOLDER.fullmatch(folder.name)
    return int(match["version"]) if match else -1


def _run_of(folder: Path) -> Path | None:
    """The folder of the run that made a version or checkpoint; None if it is not of a run."""
    place = folder.resolve()
    kinds = [parent for parent in place.parents[:_DEPTH] if parent.name in _KINDS]
    of_run = bool(kinds) and (kinds[0].parent / "settings.json").is_file()
    return kinds[0].parent if of_run and _VERSION_FOLDER.fullmatch(place.name) else None


def _from_folder(name: str, folder: Path, run: Settings | None) -> PolicyFiles:
    adapter = (folder / ADAPTER_CONFIG).is_file()
    base = _base_of_adapter(name, folder, run) if adapter else resolve_model(str(folder), folder, setting="--model")
    files = _hash_files(name, folder, [ADAPTER_FILE] if adapter else _weight_names(folder))
    below = _hash_files(name, base, _weight_names(base)) if adapter else {}
    below |= _hash_files(name, base, [file for file in _TEXT_FILES if (base / file).is_file()])
    match = _VERSION_FOLDER.fullmatch(folder.resolve().name) if run is not None else None
    return PolicyFiles(
        name=name,
        base=base.resolve(),
        weights=folder.resolve(),
        kind=WeightsKind.ADAPTER if adapter else WeightsKind.FULL,
        files=files,
        digest=hashlib.sha256(json.dumps([files, below], sort_keys=True).encode()).hexdigest(),
        lora_rank=int(_adapter_config(folder)["r"]) if adapter else 0,
        source_run=None if run is None else run.run.id,
        lineage=int(match["lineage"] or 0) if match else 0,
        version=int(match["version"]) if match else 0,
    )


def _base_of_adapter(name: str, folder: Path, run: Settings | None) -> Path:
    """The model below an adapter: the run's, else the one that peft's configuration names."""
    named = str(_adapter_config(folder).get("base_model_name_or_path") or "")
    if run is not None and run.model.path == DEMO_MODEL:
        return resolve_model(DEMO_MODEL, run.run.prepared, setting="--model")
    if not named and run is not None:
        named = run.model.path
    try:
        return resolve_model(named, folder, setting=f"the base of --model {name}")
    except ModelFilesError as error:
        raise ModelFilesError(f"{error}; {folder / ADAPTER_CONFIG} names it as base_model_name_or_path") from error


def _adapter_config(folder: Path) -> dict[str, Any]:
    config: dict[str, Any] = json.loads((folder / ADAPTER_CONFIG).read_text(encoding="utf-8"))
    return config


def _weight_names(folder: Path) -> list[str]:
    """The one file of weights, or the index with the shards that it names."""
    index = folder / WEIGHTS_INDEX
    if not index.is_file():
        return [WEIGHTS_FILE]
    shards: dict[str, str] = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
    return [WEIGHTS_INDEX, *sorted(set(shards.values()))]


def _hash_files(name: str, folder: Path, names: list[str]) -> dict[str, str]:
    missing = [file for file in names if not (folder / file).is_file()]
    if missing:
        raise ModelFilesError(f"--model {name}: {folder.resolve()} holds no {missing[0]}; save it with save_pretrained")
    return {file: file_sha256(folder / file) for file in names}
