"""Keeps announced weights as folders on this machine, complete and checked.

Invariant: `folder_of` returns only a folder whose files have the announced digests. A fetched folder is under the cache
as `lineageLLL-vVVVVVV-DIGEST`, complete or absent; at most `keep` of them stay, the newest by name. Several workers of
one machine may share a cache: a worker that two newer versions overtake while it loads gets an OSError and loads the
newest instead.
"""

import shutil
from pathlib import Path, PurePosixPath

from infra.files.folders import UNFINISHED, atomic_folder
from streams.messages import PolicyVersion, WeightsKind
from workers.models.model_files import ADAPTER_FILE, WEIGHTS_FILE, WEIGHTS_INDEX, file_sha256
from workers.models.remote_files import RemoteFolder, is_url

_KEEP = 2
"""The version in use and the one that replaces it."""


class WeightsMismatchError(ValueError):
    """A file is not the announced one; the message names both digests."""


class WeightCache:
    def __init__(self, folder: Path, keep: int = _KEEP) -> None:
        self._folder = folder
        self._keep = keep

    def folder_of(self, announced: PolicyVersion) -> Path:
        """Returns a checked folder with the announced files. Raises WeightsMismatchError, OSError if a file cannot be
        fetched, ValueError if the announcement is invalid.
        """
        if not is_url(announced.uri):
            return _require_digests(Path(announced.uri), announced)
        target = self._folder / f"lineage{announced.lineage:03d}-v{announced.version:06d}-{announced.sha256[:12]}"
        if target.is_dir():
            try:
                return _require_digests(target, announced)
            except (OSError, WeightsMismatchError):  # the disk damaged the copy: fetch it again
                shutil.rmtree(target, ignore_errors=True)
        self._fetch(announced, target)
        self._remove_old(target)
        return target

    def _fetch(self, announced: PolicyVersion, target: Path) -> None:
        """If another worker is faster, its folder stays. Nothing is synced: `folder_of` checks what it finds."""
        with atomic_folder(target, replace=False, sync=False) as folder:
            remote = RemoteFolder(announced.uri)
            for name in _expected_digests(announced):
                remote.get(name, folder / name)
            _require_digests(folder, announced)

    def _remove_old(self, newest: Path) -> None:
        """Remove folders older than the `keep` newest, and unfinished ones that killed workers left. A resumed learner
        announces a higher lineage, so names sort in the order of announcements.
        """
        whole = sorted(path for path in self._folder.glob("lineage*") if path.is_dir())
        kept = {path.name for path in whole[-self._keep :]} | {newest.name}
        for path in self._folder.iterdir():
            if not any(name in path.name for name in kept) and path.name.startswith(("lineage", UNFINISHED)):
                shutil.rmtree(path, ignore_errors=True)  # another worker may be removing it too


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
