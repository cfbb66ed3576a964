"""The folder of a run: runs/<id>/ with logs/ and settings.json, and the link runs/latest to the newest run.

Invariant: settings.json is complete before any process reads it, and holds no secret. Secrets that were given as values
are in secrets.json next to it, which only its owner can read.
"""

import os
import re
import time
from pathlib import Path

from infra.files.replace import replace_file
from infra.local.processes import LocalStackError
from infra.settings.load import SECRETS_FILE, SETTINGS_FILE, secrets_json, settings_json
from infra.settings.tree import Settings

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,47}")
"""Ids that are valid as a topic's name, as a folder's name and in the column runs.id."""


def make(settings: Settings, *, latest: bool = True) -> tuple[str, Path]:
    """Id and folder of the run. If the settings name an id, its folder is used again, so that a run can be continued.
    `latest`: whether the link moves to it.

    Raises LocalStackError if the id is not a valid one.
    """
    root, run_id = settings.run.folder, settings.run.id
    if run_id and not _ID.fullmatch(run_id):
        raise LocalStackError(
            f"run.id = {run_id!r}: an id is 1 to 48 letters, digits, '-' and '_', starting with a letter or digit"
        )
    folder = _make_existing(root / run_id) if run_id else _make_new(root)
    if latest:
        _point_latest(root, folder.name)
    return folder.name, folder


def make_beside(root: Path, kind: str) -> tuple[str, Path]:
    """Id and folder of something that is not a run of its own, such as training again; `latest` is not moved."""
    folder = _make_new(root, f"-{kind}")
    return folder.name, folder


def write_settings(settings: Settings, folder: Path) -> Path:
    """Replaces settings.json as a whole, and before it secrets.json; returns the path of settings.json."""
    secrets_file, secrets = folder / SECRETS_FILE, secrets_json(settings)
    if secrets is None:
        secrets_file.unlink(missing_ok=True)
    else:
        replace_file(secrets_file, secrets, mode=0o600)
    path = folder / SETTINGS_FILE
    replace_file(path, settings_json(settings), mode=0o600)
    return path


def _make_existing(folder: Path) -> Path:
    (folder / "logs").mkdir(parents=True, exist_ok=True)
    return folder


def _make_new(root: Path, kind: str = "") -> Path:
    name = stamp = time.strftime("%Y%m%d-%H%M%S") + kind
    attempt = 1
    while True:
        try:
            (root / name / "logs").mkdir(parents=True)
        except FileExistsError:
            attempt += 1
            name = f"{stamp}-{attempt}"
        else:
            return root / name


def _point_latest(root: Path, name: str) -> None:
    link = root / f".latest.{os.getpid()}"
    link.unlink(missing_ok=True)
    link.symlink_to(name)
    link.replace(root / "latest")
