"""Folders that are complete or absent: written under a temporary name in the same parent, synced, then renamed.

Invariant: a reader that sees the folder sees all of it, also after a power cut.
"""

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

UNFINISHED = ".unfinished-"
"""Prefix of the temporary names."""
_WEIGHTS = {".safetensors", ".bin", ".pt", ".pth"}
_FULL_BYTES = 256 * 2**20
"""If less than this is free after a failed write, the disk is full: writers write at most this much at a time."""


def unfinished_folder(target: Path) -> Path:
    """A new temporary folder that `atomic_folder` can make `target` of later. Raises OSError."""
    target.parent.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=f"{UNFINISHED}{target.name}-", dir=target.parent))


@contextmanager
def atomic_folder(
    target: Path, begun: Path | None = None, *, replace: bool = True, sync: bool = True, mode: int = 0o755
) -> Iterator[Path]:
    """A temporary folder that becomes `target` at the end of the block, unless the block raises. Raises OSError.

    `begun` is the temporary folder, if it exists already (`unfinished_folder`). `replace=False`: if another process has
    made `target` meanwhile, that one stays. `sync=False`: for content that is checked when it is read, or that its
    writer synced; a power cut may then leave a part of it.
    """
    temporary = begun or unfinished_folder(target)
    replaced = temporary.with_name(f"{temporary.name}-replaced")
    try:
        yield temporary
        temporary.chmod(mode)
        if sync:
            for path in [*temporary.rglob("*"), temporary]:
                _sync(path)
        if replace and target.exists():
            target.rename(replaced)
        _rename(temporary, target, may_exist=not replace)
        if sync:
            _sync(target.parent)
    except (RuntimeError, SafetensorError) as error:  # how torch and safetensors report a write that failed
        if shutil.disk_usage(temporary).free < _FULL_BYTES:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target)) from error
        raise
    finally:
        for folder in (temporary, replaced):
            shutil.rmtree(folder, ignore_errors=True)


def copy_description(model: Path, folder: Path) -> None:
    """Copies everything of a model's folder except its weights: configuration, tokenizer, chat template. Raises
    OSError.
    """
    for path in model.iterdir():
        if path.is_file() and path.suffix not in _WEIGHTS and not path.name.endswith(".index.json"):
            shutil.copy(path, folder)


def keep_newest(parent: Path, pattern: str, count: int) -> list[Path]:
    """Removes all but the `count` last folders by the numbers in their names; returns the removed ones."""
    folders = sorted((path for path in parent.glob(pattern) if path.is_dir()), key=_numbers_in_name)
    removed = folders[: max(0, len(folders) - count)]
    for folder in removed:
        shutil.rmtree(folder)
    return removed


def remove_unfinished(parent: Path, name: str = "") -> None:
    """Removes what killed writers left of folders whose names begin with `name`. Call it only while nobody writes
    them.
    """
    for folder in parent.glob(f"{UNFINISHED}{name}*"):
        shutil.rmtree(folder)


def _numbers_in_name(path: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", path.name)]


def _rename(temporary: Path, target: Path, *, may_exist: bool) -> None:
    try:
        temporary.rename(target)
    except OSError:
        if not (may_exist and target.is_dir()):
            raise


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
