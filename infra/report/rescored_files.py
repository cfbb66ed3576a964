"""What a rescore leaves in the run's folder: summary.json and the picture."""

import json
from pathlib import Path
from typing import Any

from infra.files.replace import replace_file
from infra.report.rescored_figure import changes

SUMMARY_NAME, PICTURE_NAME = "summary.json", "changes.png"


def write_files(folder: Path, summary: dict[str, Any]) -> dict[str, Any]:
    """Each replaced as a whole; returns the summary with where they are. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    picture = changes(summary)
    if picture is not None:
        replace_file(folder / PICTURE_NAME, picture)
    placed = summary | {"folder": str(folder), "picture": None if picture is None else str(folder / PICTURE_NAME)}
    replace_file(folder / SUMMARY_NAME, json.dumps(placed, indent=2).encode() + b"\n")
    return placed
