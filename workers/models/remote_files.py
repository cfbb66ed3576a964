"""Files in a folder at a URL, through fsspec; no other module imports fsspec.

Invariant: any error of a file system is raised as a RemoteFilesError, which is an OSError, so that callers handle
remote and local files alike. The package that a URL needs (s3fs, gcsfs, adlfs, ...) is installed separately; the error
names it if it is missing.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import fsspec


def is_url(place: str) -> bool:
    return "://" in place


class RemoteFilesError(OSError):
    """The message names the URL, what failed, and what the file system says."""


class RemoteFolder:
    """One folder of an fsspec file system; `url` is its address."""

    def __init__(self, url: str) -> None:
        """Raises OSError if the protocol is unknown or its package is not installed."""
        self.url = url.rstrip("/")
        with self._as_remote_error("open"):
            self._files, self._root = fsspec.core.url_to_fs(self.url)

    def child(self, name: str) -> "RemoteFolder":
        return RemoteFolder(f"{self.url}/{name}")

    def put(self, local: Path) -> None:
        """Copy the file into the folder, under its name, and check that all of it arrived. Raises OSError."""
        with self._as_remote_error(f"write {local.name} to"):
            self._files.makedirs(self._root, exist_ok=True)
            self._files.put_file(str(local), self._path(local.name))
            self._files.invalidate_cache(self._root)
            arrived, sent = self._files.info(self._path(local.name))["size"], local.stat().st_size
            if arrived != sent:
                raise OSError(f"{arrived} bytes of {sent} arrived")

    def get(self, name: str, local: Path) -> None:
        """Copy the file `name` to `local`. Raises OSError."""
        with self._as_remote_error(f"read {name} of"):
            self._files.get_file(self._path(name), str(local))

    def folders(self) -> list[str]:
        """Returns the sorted names of the folders inside; none if this folder does not exist. Raises OSError."""
        with self._as_remote_error("list"):
            self._files.invalidate_cache(self._root)
            if not self._files.isdir(self._root):
                return []
            entries = self._files.ls(self._root, detail=True)
        return sorted(entry["name"].rstrip("/").rpartition("/")[2] for entry in entries if entry["type"] == "directory")

    def remove(self) -> None:
        """Remove the folder with all its contents. Raises OSError."""
        with self._as_remote_error("remove"):
            self._files.rm(self._root, recursive=True)

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    @contextmanager
    def _as_remote_error(self, what: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # each file system raises its own client's classes
            raise RemoteFilesError(f"cannot {what} {self.url}: {type(error).__name__}: {error}") from error
