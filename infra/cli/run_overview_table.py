"""`rewardstream runs show`: a run on one screen."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from infra.db.run_overview import AFTER, BEFORE, RunOverview

REPORT = "report.html"


def folder_bytes(folder: Path) -> int | None:
    """Bytes of the files below the folder, each counted once; None if there is no such folder."""
    if not folder.is_dir():
        return None
    found = (path.lstat() for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return sum({stat.st_ino: stat.st_size for stat in found}.values())  # versions may share files by hard links


def lines_of(run: RunOverview, folder: Path, disk: int | None) -> Iterator[str]:
    """The lines of the screen. `disk`: bytes of the run's folder, None if it is not on this machine."""
    times = {"created": run.created_at, "training since": run.train_started_at, "finished": run.finished_at}
    yield f"run        {run.run_id}"
    yield f"state      {run.phase}"
    yield f"recipe     {run.recipe or '-'}"
    yield f"model      {run.model or '-'}"
    yield "time       " + ", ".join(f"{name} {when:%Y-%m-%d %H:%M:%S}" for name, when in times.items() if when)
    yield f"versions   {run.version}, in {run.lineages} starts of the learner"
    for purpose, endings in run.groups.items():
        yield f"groups     {purpose}: " + ", ".join(f"{count:,} {name}" for name, count in endings.items())
    yield from _heldout(run)
    on_disk = "not on this machine" if disk is None else f"{disk / 1e6:,.1f} MB in {folder}"
    yield f"disk       {on_disk}"
    yield f"database   {run.bytes / 1e6:,.1f} MB, {run.scores:,} scores"
    report = folder / REPORT
    yield "report     " + (str(report) if report.is_file() else f"none yet: `rewardstream report --run {run.run_id}`")


def _heldout(run: RunOverview) -> Iterator[str]:
    if not run.heldout:
        yield "held out   not measured"
    for domain, means in run.heldout.items():
        scores = [means.get(label) for label in (BEFORE, AFTER)]
        before, after = ("-" if score is None else f"{score:.3f}" for score in scores)
        yield f"held out   {domain:<16} before {before}, after {after}{_change(scores)}"


def _change(scores: Sequence[float | None]) -> str:
    before, after = scores
    return "" if before is None or after is None else f" ({after - before:+.3f})"
