"""Loads rubrics by domain, from the settings and from files.

Invariant: every loaded rubric is a text that is not empty; the error names a file that is not a rubric.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path

from workers.judges.sanitize import clean

_ENDINGS = (".md", ".txt")


class RubricError(ValueError):
    """The message names the file or the domain, and what to do."""


def load_rubrics(given: Mapping[str, str], path: Path | None) -> dict[str, str]:
    """Returns texts by domain; `given` wins over the TOML file or folder at `path`. Raises RubricError."""
    found = {} if path is None else _read_file(path)
    rubrics = {domain: clean(text) for domain, text in (found | dict(given)).items()}
    empty = sorted(domain for domain, text in rubrics.items() if not text)
    if empty:
        raise RubricError(f"the rubric of {', '.join(empty)} is empty; write what counts, or leave the domain out")
    return rubrics


def _read_file(path: Path) -> dict[str, str]:
    try:
        if path.is_dir():
            files = sorted(file for file in path.iterdir() if file.suffix in _ENDINGS)
            found = {file.stem: file.read_text(encoding="utf-8") for file in files}
        else:
            found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RubricError(
            f"genrm.rubrics_path = {str(path)!r}: {error}; give a TOML file or a folder of DOMAIN.md files"
        ) from error
    if not found:
        raise RubricError(f"genrm.rubrics_path = {str(path)!r} holds no rubric; a folder needs DOMAIN.md or DOMAIN.txt")
    for domain, text in found.items():
        if not isinstance(text, str):
            raise RubricError(f'{path}: {domain} is not a text; a rubric file has lines of domain = "text"')
    return found
