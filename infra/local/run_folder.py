"""The folder of a run: runs/<id>/ with logs/ and settings.json, and runs/latest that points to the newest.

Invariant: settings.json is complete before any process reads it, and readable by its owner only (it may hold the
database's password).
"""

import os
import re
import time
from pathlib import Path

from infra.files.replace import replace_file
from infra.local.processes import LocalStackError
from infra.settings.load import settings_json
from infra.settings.tree import Settings

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,47}")
"""What a topic's name, a folder's name and the column runs.id all take."""


def make(settings: Settings) -> tuple[str, Path]:
    """Id and folder of the run; an id of the settings keeps its folder, so that a run can go on.

    Raises LocalStackError.
    """
    root, run_id = settings.run.folder, settings.run.id
    if run_id and not _ID.fullmatch(run_id):
        raise LocalStackError(
            f"run.id = {run_id!r}: an id is 1 to 48 letters, digits, '-' and '_', starting with a letter or digit"
        )
    folder = _existing(root / run_id) if run_id else _new(root)
    _point_latest(root, folder.name)
    return folder.name, folder


def make_beside(root: Path, kind: str) -> tuple[str, Path]:
    """Id and folder of what is no run of its own, as training again is: `latest` stays where it points."""
    folder = _new(root, f"-{kind}")
    return folder.name, folder


def write_settings(settings: Settings, folder: Path) -> Path:
    """settings.json, replaced as a whole."""
    path = folder / "settings.json"
    replace_file(path, settings_json(settings), mode=0o600)
    return path


def _existing(folder: Path) -> Path:
    (folder / "logs").mkdir(parents=True, exist_ok=True)
    return folder


def _new(root: Path, kind: str = "") -> Path:
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
