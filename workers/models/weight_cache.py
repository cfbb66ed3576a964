"""Keeps announced weights as folders on this machine, complete and checked, for all engines of the machine.

Invariants:
- `folder_of` returns only a folder whose files have the announced digests. Folders are `lineageLLL-vVVVVVV-DIGEST`,
  complete or absent.
- A machine fetches and reads a version once, however many engines ask for it; the others wait for the first. A check
  counts until the machine restarts or a file changes.
- What a cache returned last stays until it returns `_HELD` others, whoever removes versions meanwhile: weights on the
  same file system are hard links, which outlive the learner's own removal. So a slow engine can always finish loading.
  Apart from those, the `keep` newest folders by name stay.

Where the file system has no hard links, a local folder is checked and loaded where it lies.
"""

import fcntl
import os
import shutil
import socket
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

import msgspec

from infra.files.folders import UNFINISHED, atomic_folder
from streams.messages import PolicyVersion, WeightsKind
from workers.models.model_files import ADAPTER_FILE, WEIGHTS_FILE, WEIGHTS_INDEX, file_sha256
from workers.models.remote_files import RemoteFolder, is_url

_KEEP = 2
"""The version in use and the one that replaces it."""
_HELD = 2
"""One version is fetched while another waits to be loaded."""
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class WeightsMismatchError(ValueError):
    """A file is not the announced one; the message names both digests."""


class WeightCache:
    def __init__(self, folder: Path, keep: int = _KEEP) -> None:
        self._folder = folder
        self._notes = folder.with_name(f"{folder.name}-notes")
        self._keep = keep
        self._held: deque[IO[bytes]] = deque()

    def folder_of(self, announced: PolicyVersion) -> Path:
        """Returns a checked folder with the announced files. Raises WeightsMismatchError, OSError if a file cannot be
        fetched, ValueError if the announcement is invalid.
        """
        names = _expected_digests(announced)
        target = self._folder / f"lineage{announced.lineage:03d}-v{announced.version:06d}-{announced.sha256[:12]}"
        self._notes.mkdir(parents=True, exist_ok=True)
        self._hold(target.name)
        with self._alone(target.name):
            if not self._is_checked(target, announced):
                shutil.rmtree(target, ignore_errors=True)  # what is there was damaged
                try:
                    self._fetch(announced, target)
                except _NoLinksError:
                    return _require_digests(Path(announced.uri), announced)
                self._note_checked(target, names)
        self._remove_old(target)
        return target

    def _hold(self, name: str) -> None:
        """No cache removes the folder while this file is open with its lock."""
        held = (self._notes / f"{name}.held").open("ab")
        fcntl.flock(held, fcntl.LOCK_SH)
        self._held.append(held)
        while len(self._held) > _HELD:
            self._held.popleft().close()

    @contextmanager
    def _alone(self, name: str) -> Iterator[None]:
        with (self._notes / f"{name}.lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _is_checked(self, target: Path, announced: PolicyVersion) -> bool:
        """Whether the folder is there and whole; reads its files only if nobody did on this machine."""
        names = _expected_digests(announced)
        if not target.is_dir():
            return False
        try:
            if self._note(target.name).read_bytes() == _stamp(target, names):
                return True
            _require_digests(target, announced)
        except (OSError, WeightsMismatchError):
            return False
        self._note_checked(target, names)
        return True

    def _note_checked(self, target: Path, names: dict[str, str]) -> None:
        self._note(target.name).write_bytes(_stamp(target, names))

    def _note(self, name: str) -> Path:
        return self._notes / f"{name}.{socket.gethostname()}.checked"

    def _fetch(self, announced: PolicyVersion, target: Path) -> None:
        """Nothing is synced: what was not checked since the machine's start is checked again."""
        with atomic_folder(target, replace=False, sync=False) as folder:
            if is_url(announced.uri):
                remote = RemoteFolder(announced.uri)
                for name in _expected_digests(announced):
                    remote.get(name, folder / name)
            else:
                _link_files(Path(announced.uri), folder)
            _require_digests(folder, announced)

    def _remove_old(self, newest: Path) -> None:
        """Remove folders older than the `keep` newest that nobody holds, and unfinished ones that killed workers left.
        A resumed learner announces a higher lineage, so names sort in the order of announcements.
        """
        whole = sorted(path.name for path in self._folder.glob("lineage*"))
        kept = {*whole[-self._keep :], newest.name}
        for name in whole:
            if name not in kept:
                self._remove(self._folder / name, name)
        for path in self._folder.glob(f"{UNFINISHED}lineage*"):
            if not any(name in path.name for name in kept):
                self._remove(path, _named_in(path))

    def _remove(self, path: Path, name: str) -> None:
        """Does nothing if somebody holds it; who wants to hold it meanwhile waits."""
        with (self._notes / f"{name}.held").open("ab") as held:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            shutil.rmtree(path, ignore_errors=True)  # a worker on another machine may be removing it too
            for note in self._notes.glob(f"{name}.*.checked"):
                note.unlink(missing_ok=True)


class _NoLinksError(OSError):
    """The file system does not link these files."""


def _link_files(source: Path, folder: Path) -> None:
    for path in source.iterdir():
        if path.is_file():
            try:
                os.link(path, folder / path.name)
            except FileNotFoundError:
                raise
            except OSError as error:
                raise _NoLinksError(f"{path}: {error}") from error


def _named_in(unfinished: Path) -> str:
    """The folder that this unfinished one would have become: `.unfinished-NAME-RANDOM`."""
    return unfinished.name.removeprefix(UNFINISHED).rpartition("-")[0]


def _stamp(folder: Path, names: dict[str, str]) -> bytes:
    """Names the files as they were checked, and the machine's start."""
    found = {name: (folder / name).stat() for name in sorted(names)}
    sizes = {name: (names[name], state.st_size, state.st_mtime_ns) for name, state in found.items()}
    boot = _BOOT_ID.read_text().strip() if _BOOT_ID.exists() else ""
    return msgspec.msgpack.encode((boot, sizes))


def _expected_digests(announced: PolicyVersion) -> dict[str, str]:
    """Returns the digests of the files that must exist, by name. Raises ValueError for a name outside the folder."""
    digests = {**announced.files, _main_file(announced): announced.sha256}
    odd = [name for name in digests if PurePosixPath(name).name != name or name in {"", ".", ".."}]
    if odd:
        raise ValueError(f"version {announced.version} announces {odd[0]!r}, which is not a file name")
    return digests


def _main_file(announced: PolicyVersion) -> str:
    """The file that the announcement's own digest belongs to: the index, if the weights are in several files."""
    if announced.kind is WeightsKind.ADAPTER:
        return ADAPTER_FILE
    sharded = WEIGHTS_INDEX in announced.files and WEIGHTS_FILE not in announced.files
    return WEIGHTS_INDEX if sharded else WEIGHTS_FILE


def _require_digests(folder: Path, announced: PolicyVersion) -> Path:
    for name, digest in _expected_digests(announced).items():
        found = file_sha256(folder / name)
        if found != digest:
            raise WeightsMismatchError(
                f"{folder / name} of {announced.uri} has sha256 {found[:12]}..., but was announced with "
                f"{digest[:12]}...: the file is damaged or another one"
            )
    return folder
