"""Writes a run's page into one folder, which opens from a file as from any server.

Invariant: the folder appears whole or not at all; what it shows is the JSON of the live page's paths, which it holds as
files, too. A browser reads no JSON from a file, so the page takes the same values from scripts (`data/`), each with
many paths.
"""

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import select

from infra.db.models import Group
from infra.page.readers.table import PAGE_ROWS
from infra.page.serving.answers import encode, static
from infra.page.serving.bundle import bundle
from infra.page.serving.routes import PageData

MOST_GROUPS = 2000
"""Groups of an export, the newest ones: all of a small run. A demo's 900 groups take 46 MB."""
PACKED_GROUPS = 16
"""Groups of one script: about a hundred rollouts, which a browser loads in no time."""
PACKED_STEPS = 64
_TOLD_PACKS = 10
"""Packs between two words on the progress: seconds on a laptop."""
_MOST_ROWS = MOST_GROUPS * 16 // PAGE_ROWS
_POLICY = "default-src 'none'; script-src 'self' file:; style-src 'self' file:; img-src 'self' file:"
"""A page from a file has no origin of its own, so its files are named by their scheme."""


class ExportFolderError(ValueError):
    """The folder of an export exists and is not empty."""


def export(
    data: PageData, out: Path, most_groups: int = MOST_GROUPS, tell: Callable[[int, int], None] | None = None
) -> int:
    """Returns the number of groups. `tell` is called with the groups that are written and all of them. Raises
    ExportFolderError, SQLAlchemyError, OSError.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ExportFolderError(f"{out} exists: name a folder that does not, or remove it")
    beside = out.with_name(f".{out.name}.unfinished")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        count = _write(data, beside, most_groups, tell or (lambda _done, _all: None))
        if out.is_dir():
            out.rmdir()
        beside.rename(out)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    return count


def _write(data: PageData, out: Path, most_groups: int, tell: Callable[[int, int], None]) -> int:
    _write_page(out)
    seqs = _groups(data, most_groups)
    run = {path: data.read(path, {}) for path in ("overview", "loop", "trend", "open", "selection", "monitors")}
    run["rollouts"] = {"rows": list(_rows(data, seqs)), "groups": len(seqs)}
    _write_pack(out, "run", run)
    versions = [step.version for step in run["trend"].steps]
    for start in range(0, max(versions, default=0) + 1, PACKED_STEPS):
        some = [f"steps/{version}" for version in versions if start <= version < start + PACKED_STEPS]
        _write_pack(out, f"steps-{start // PACKED_STEPS}", {path: data.read(path, {}) for path in some})
    prompts: dict[str, set[str]] = {}
    for done, (pack, of_pack) in enumerate(_packs(seqs)):
        values: dict[str, Any] = {}
        for seq in of_pack:
            group = values[f"groups/{seq}"] = data.read(f"groups/{seq}", {})
            prompts.setdefault(group["prompt_id"][:2], set()).add(group["prompt_id"])
            values |= {
                f"rollouts/{seq}/{index}": data.read(f"rollouts/{seq}/{index}", {}) for index in range(group["samples"])
            }
        _write_pack(out, f"groups-{pack}", values)
        if done % _TOLD_PACKS == _TOLD_PACKS - 1:
            tell((done + 1) * PACKED_GROUPS, len(seqs))
    for beginning, ids in prompts.items():
        _write_pack(
            out, f"prompts-{beginning}", {f"prompts/{one}": data.read(f"prompts/{one}", {}) for one in sorted(ids)}
        )
    return len(seqs)


def _groups(data: PageData, most: int) -> list[int]:
    """The newest groups, oldest first."""
    newest = select(Group.seq).where(Group.run_id == data.run.run_id).order_by(Group.seq.desc()).limit(most)
    with data.run.engine.connect() as connection:
        return sorted(connection.scalars(newest))


def _packs(seqs: list[int]) -> Iterator[tuple[int, list[int]]]:
    for pack in sorted({seq // PACKED_GROUPS for seq in seqs}):
        yield pack, [seq for seq in seqs if seq // PACKED_GROUPS == pack]


def _rows(data: PageData, seqs: list[int]) -> Iterator[Any]:
    """The rows of the table of these groups, the newest first."""
    first = seqs[0] if seqs else 0
    for page in range(_MOST_ROWS):
        found = data.read("rollouts", {"page": str(page)})
        yield from (row for row in found.rows if row.seq >= first)
        if not found.more or found.rows[-1].seq < first:
            return


def _write_pack(out: Path, name: str, values: dict[str, Any]) -> None:
    """Each value as a file of JSON, and all of them as one script."""
    texts = {path: encode(value) for path, value in values.items()}
    for path, text in texts.items():
        file = out / "api" / f"{path}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text)
    entries = b",\n".join(encode(path) + b":" + text for path, text in texts.items())
    script = out / "data" / f"{name}.js"
    script.parent.mkdir(exist_ok=True)
    script.write_bytes(b"(globalThis.rewardstreamPacks ??= {})[" + encode(name) + b"] = {\n" + entries + b"\n};\n")


def _write_page(out: Path) -> None:
    def read(path: str) -> str:
        file = static()
        for part in path.split("/"):
            file = file / part
        return file.read_text(encoding="utf-8")

    for name in ("style.css", "icon.svg"):
        (out / name).write_text(read(name), encoding="utf-8")
    (out / "page.js").write_text(bundle("main.js", read), encoding="utf-8")
    page, made = re.subn(
        r'  <script type="module" src="main.js"></script>\n',
        f'  <meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '  <script defer src="data/run.js"></script>\n  <script defer src="page.js"></script>\n',
        read("index.html"),
    )
    assert made == 1, "index.html loads main.js in one line"
    (out / "index.html").write_text(page, encoding="utf-8")
