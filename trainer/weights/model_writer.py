"""Writes a model's tensors as transformers does: one safetensors file, or several and an index that names them.

Invariant: at most one file's tensors are held at a time, if the caller yields them one by one.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from workers.models.model_files import WEIGHTS_FILE, WEIGHTS_INDEX

_FILE_BYTES = 5 * 2**30
"""Most bytes of a file, unless one tensor is larger: a few minutes of upload, and what transformers has long used."""


def write_model_files(tensors: Iterable[tuple[str, Tensor]], folder: Path, file_bytes: int = _FILE_BYTES) -> str:
    """Writes the tensors into the folder; returns the name of the main file, which is the index if there are several.

    Raises OSError.
    """
    parts: list[Path] = []
    names: list[list[str]] = []
    total = 0
    for part in _split(tensors, file_bytes):
        parts.append(folder / f"model-{len(parts) + 1:05d}.safetensors")
        names.append(sorted(part))
        total += sum(tensor.nbytes for tensor in part.values())
        write_tensors(part, parts[-1])
    if len(parts) == 1:
        parts[0].rename(folder / WEIGHTS_FILE)
        return WEIGHTS_FILE
    weight_map: dict[str, str] = {}
    for number, (path, held) in enumerate(zip(parts, names, strict=True), start=1):
        renamed = path.rename(folder / f"model-{number:05d}-of-{len(parts):05d}.safetensors")
        weight_map |= dict.fromkeys(held, renamed.name)
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    (folder / WEIGHTS_INDEX).write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
    return WEIGHTS_INDEX


def write_tensors(tensors: dict[str, Tensor], path: Path) -> None:
    """Writes one safetensors file. Raises OSError, SafetensorError."""
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path, metadata={"format": "pt"})


def _split(tensors: Iterable[tuple[str, Tensor]], file_bytes: int) -> Iterator[dict[str, Tensor]]:
    """The tensors in parts of at most `file_bytes`; at least one part."""
    part: dict[str, Tensor] = {}
    room = file_bytes
    for name, tensor in tensors:
        if part and tensor.nbytes > room:
            yield part
            part, room = {}, file_bytes
        part[name] = tensor
        room -= tensor.nbytes
    yield part
