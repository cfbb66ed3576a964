"""Folders that are whole or absent: written beside their place, synced, renamed into it.

Invariant: a reader that sees the folder sees all of it, also after a power cut.
"""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

_UNFINISHED = ".unfinished-"
_WEIGHTS = {".safetensors", ".bin", ".pt", ".pth"}
_FULL_BYTES = 256 * 2**20
"""Less room than this after a failed write means that the disk is full; writers work in pieces of up to so much."""


@contextmanager
def atomic_folder(target: Path) -> Iterator[Path]:
    """A temporary folder that becomes `target` at the end of a block that raises nothing. Raises OSError."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f"{_UNFINISHED}{target.name}-", dir=target.parent))
    replaced = temporary.with_name(f"{temporary.name}-replaced")
    try:
        yield temporary
        temporary.chmod(0o755)
        for path in [*temporary.rglob("*"), temporary]:
            _sync(path)
        if target.exists():
            target.rename(replaced)
        temporary.rename(target)
        _sync(target.parent)
    except (RuntimeError, SafetensorError) as error:  # how torch and safetensors report a write that failed
        if shutil.disk_usage(temporary).free < _FULL_BYTES:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target)) from error
        raise
    finally:
        for folder in (temporary, replaced):
            shutil.rmtree(folder, ignore_errors=True)


def copy_description(model: Path, folder: Path) -> None:
    """What a model's folder holds beside its weights: configuration, tokenizer, chat template. Raises OSError."""
    for path in model.iterdir():
        if path.is_file() and path.suffix not in _WEIGHTS and not path.name.endswith(".index.json"):
            shutil.copy(path, folder)


def keep_newest(parent: Path, pattern: str, count: int) -> list[Path]:
    """Remove all but the `count` last folders by name; returns those removed."""
    folders = sorted(path for path in parent.glob(pattern) if path.is_dir())
    removed = folders[: max(0, len(folders) - count)]
    for folder in removed:
        shutil.rmtree(folder)
    return removed


def remove_unfinished(parent: Path, name: str = "") -> None:
    """Remove what killed writers left of folders whose names begin so. Only where nobody writes them now."""
    for folder in parent.glob(f"{_UNFINISHED}{name}*"):
        shutil.rmtree(folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
