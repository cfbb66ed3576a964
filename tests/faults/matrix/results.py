"""What a matrix found: one JSON line per injection and per run, and the table made of them.

Invariant: a line is whole or absent, and never changed. An injection counts once its run is audited, so a matrix that
was interrupted repeats what it could not audit.
"""

import json
import os
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

LOST = {
    *("never_closed", "closing_lost", "closing_without_row", "ticket_lost", "ticket_without_row", "seq_gap"),
    *("rollout_without_row", "rollouts_lost", "row_without_verdict", "scores_lost", "incomplete", "unreadable"),
}
"""Violations that say that something acknowledged is gone; DOUBLED: that something counts twice."""
DOUBLED = {"trained_twice", "closed_twice", "ordinal_reused", "statistics_differ"}


@dataclass(frozen=True, kw_only=True)
class InjectionLine:
    run: str
    kind: str
    at: float
    """Seconds since the run's start."""
    seconds: float
    """How long the fault lasted."""
    recovery: float | None
    """Seconds from the end of the fault to the first closing of a group that was dispatched after it; None: never."""
    among: int
    """Faults that were not yet recovered from when it was made, itself included."""
    detail: str = ""
    ended: str = ""
    """How the run ended of it, if it did."""
    line: str = "injection"


@dataclass(frozen=True, kw_only=True)
class AuditLine:
    run: str
    seed: int
    finished: bool
    """Whether the run came to its end by itself."""
    seconds: float
    outcomes: Mapping[str, int]
    restarts: Mapping[str, int]
    violations: Sequence[Mapping[str, Any]]
    error: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    unprovable: Sequence[str] = ()
    line: str = "audit"

    @property
    def lost(self) -> int:
        return sum(violation["kind"] in LOST for violation in self.violations)

    @property
    def doubled(self) -> int:
        return sum(violation["kind"] in DOUBLED for violation in self.violations)


class Results:
    def __init__(self, file: Path) -> None:
        self._file = file
        self.injections: list[InjectionLine] = []
        self.audits: list[AuditLine] = []
        for raw in file.read_text(encoding="utf-8").splitlines() if file.exists() else ():
            line = json.loads(raw)
            if line["line"] == "audit":
                self.audits.append(AuditLine(**line))
            else:
                self.injections.append(InjectionLine(**line))

    def append(self, line: InjectionLine | AuditLine) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(line)) + "\n")
            file.flush()
            os.fsync(file.fileno())
        if isinstance(line, AuditLine):
            self.audits.append(line)
        else:
            self.injections.append(line)

    @property
    def counted(self) -> list[InjectionLine]:
        audited = {audit.run for audit in self.audits}
        return [line for line in self.injections if line.run in audited]

    def times(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for line in self.counted:
            found[line.kind] = found.get(line.kind, 0) + 1
        return found

    @property
    def sound(self) -> bool:
        """Whether nothing was lost, doubled or wrong, and every run went on or said why not, and finished."""
        bad = [audit for audit in self.audits if audit.violations or audit.error or not audit.finished]
        return not bad and all(line.recovery is not None for line in self.counted)


def table(
    results: Results, what: Mapping[str, str], title: str = "The fault matrix", command: str = "make faults"
) -> str:
    """The page, as Markdown. `what`: what is done, by kind; `command`: what made it."""
    audits = {audit.run: audit for audit in results.audits}
    by_kind = {kind: [line for line in results.counted if line.kind == kind] for kind in what}
    rows = [_row(kind, lines, audits, what[kind]) for kind, lines in by_kind.items() if lines]
    return (
        "\n".join([f"# {title}", "", *_head(results, len(rows), command), *rows, "", *_endings(results)]).rstrip()
        + "\n"
    )


def _head(results: Results, kinds: int, command: str) -> list[str]:
    counted, audits = results.counted, results.audits
    hours = sum(audit.seconds for audit in audits) / 3600
    groups = sum(sum(audit.outcomes.values()) for audit in audits)
    violations = sum(len(audit.violations) for audit in audits)
    never = sum(line.recovery is None for line in counted)
    together = statistics.median(line.among for line in counted) if counted else 0
    return [
        f"`{command}` made",
        f"{len(counted)} injections of {kinds} kinds in {len(audits)} runs ({hours:.1f} hours, {groups} groups), on",
        "Apache Kafka and Postgres with a tiny model. The table is as it came out. Every run",
        f"was audited at its end: {violations} violations. {never} faults had no recovery.",
        "",
        f"Faults may overlap: when one was made, the median number that were still open was {together:g}, itself",
        "included. Recovery is the time from the end of a fault to the first closing of a group that was dispatched",
        "after it (for `rtv`, `genrm` and the judge: of one that they score), on a busy machine of two cores: an upper",
        "bound. Lost and doubled are what the audits of the runs say in which the kind was injected.",
        "",
        "| fault | what | times | longest s | lost | doubled | recovery p50 s | max s |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]


def _row(kind: str, lines: Sequence[InjectionLine], audits: Mapping[str, AuditLine], what: str) -> str:
    recoveries = [line.recovery for line in lines if line.recovery is not None]
    runs = {line.run for line in lines}
    lost, doubled = (sum(getattr(audits[run], name) for run in runs) for name in ("lost", "doubled"))
    p50 = f"{statistics.median(recoveries):.1f}" if recoveries else "-"
    most = f"{max(recoveries):.1f}" if len(recoveries) == len(lines) else "never"
    longest = max(line.seconds for line in lines)
    return f"| `{kind}` | {what} | {len(lines)} | {longest:.0f} | {lost} | {doubled} | {p50} | {most} |"


def _endings(results: Results) -> Iterable[str]:
    """Runs that did not go as they should, each in a line."""
    for audit in results.audits:
        kinds: dict[str, int] = {}
        for violation in audit.violations:
            kinds[violation["kind"]] = kinds.get(violation["kind"], 0) + 1
        if kinds or audit.error or not audit.finished:
            found = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())) or "no violation"
            end = "finished" if audit.finished else "did not finish"
            yield f"- Run `{audit.run}` {end}: {found}{'; ' + audit.error.splitlines()[-1] if audit.error else ''}."
