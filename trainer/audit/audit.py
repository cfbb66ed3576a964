"""Audits one run: every dispatched group ended with exactly one outcome, no group trained twice, and nothing that was
acknowledged is lost. The evidence is the log and Postgres; the rules are in `trainer.audit.rules`.

The embedded broker keeps nothing after it ends. The report is therefore stored in the run's folder before the broker
stops, and a report that is shown later says that it was stored.
"""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Engine

from infra.files.replace import replace_file
from infra.settings.tree import Settings
from streams.clients import BrokerUnavailableError, LogReader
from trainer.audit.evidence import audit_topics, gather, outcomes_by_purpose
from trainer.audit.rules import Evidence, Violation, unprovable_in, violations_of

AUDIT_FILE = "audit.json"
FROM_LOG = "the log and Postgres"
STORED = "stored when the run ended, from its log, which is no longer there; Postgres was checked again now"
_CONNECT_SECONDS = 2.0
"""A running broker answers within tenths of a second; one that ended with its run is not worth a longer wait."""


class AuditReport(msgspec.Struct, frozen=True, kw_only=True):
    run_id: str
    violations: list[Violation]
    finished: bool
    """Whether the run had ended; only then is an open group a violation."""
    groups: dict[str, dict[str, int]]
    """Number of groups by purpose and surviving outcome; `open` means no outcome."""
    counts: dict[str, int]
    """Numbers of records and rows that were checked, of repeated copies, of lineages, and of closings taken back."""
    dead_letters: dict[str, int]
    """Number of dead letters by stage and error class."""
    audited_at: float
    """Unix seconds."""
    source: str = FROM_LOG
    unprovable: list[str] = []
    """What cannot be proved because records are gone from the log; empty if it is whole."""

    @property
    def sound(self) -> bool:
        return not self.violations

    def as_dict(self) -> dict[str, Any]:
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain


def audit(run_id: str, engine: Engine, reader: LogReader) -> AuditReport:
    """Audits the run. `reader` reads `audit_topics` from the beginning. Raises LookupError if the database has no such
    run.
    """
    log, database = gather(run_id, engine, reader)
    return report_on(Evidence(run_id, log, database))


def audit_run(settings: Settings, bootstrap: str, engine: Engine) -> AuditReport:
    """Audits the run from its log and Postgres.

    Raises BrokerUnavailableError, and LookupError if the broker has no topics of the run or the database no row.
    """
    with open_reader(settings, bootstrap) as reader:
        return audit(settings.run.id, engine, reader)


def audit_or_stored(settings: Settings, bootstrap: str, engine: Engine, folder: Path) -> AuditReport:
    """The report of `audit_run`; if the run's log is gone, the report stored in `folder`, with Postgres checked again.

    Raises what `audit_run` raises if there is no stored report either.
    """
    broker = settings.broker.model_copy(update={"connect_timeout_seconds": _CONNECT_SECONDS})
    try:
        return audit_run(settings.model_copy(update={"broker": broker}), bootstrap, engine)
    except (BrokerUnavailableError, LookupError):
        if not (folder / AUDIT_FILE).is_file():
            raise
    return recheck(load(folder), engine)


def recheck(report: AuditReport, engine: Engine) -> AuditReport:
    """The stored report, with a violation for each purpose whose groups in Postgres have changed since."""
    now = outcomes_by_purpose(engine, report.run_id)
    changed = [
        Violation(
            kind="database_changed",
            group=report.run_id,
            detail=f"{purpose} groups by outcome are {now.get(purpose, {})}, were {report.groups.get(purpose, {})}",
        )
        for purpose in sorted({*now, *report.groups})
        if now.get(purpose, {}) != report.groups.get(purpose, {})
    ]
    return msgspec.structs.replace(report, violations=[*report.violations, *changed], source=STORED)


@contextmanager
def open_reader(settings: Settings, bootstrap: str) -> Iterator[LogReader]:
    with LogReader(settings.broker, bootstrap, audit_topics(settings.topics.prefix)) as reader:
        yield reader


def report_on(evidence: Evidence) -> AuditReport:
    log, database = evidence.log, evidence.database
    groups: dict[str, Counter[str]] = {}
    for seq, row in sorted(database.after.items()):
        closings = evidence.surviving.get(seq)
        groups.setdefault(row.purpose, Counter())[closings[-1].outcome if closings else "open"] += 1
    surviving = sum(len(closings) for closings in evidence.surviving.values())
    return AuditReport(
        run_id=evidence.run_id,
        violations=violations_of(evidence),
        finished=evidence.finished,
        groups={purpose: {str(name): count for name, count in found.items()} for purpose, found in groups.items()},
        counts={
            "groups": len(database.after),
            "tickets": sum(ticket.copies for ticket in log.tickets.values()),
            "tickets_repeated": sum(ticket.copies - 1 for ticket in log.tickets.values()),
            "rollouts": sum(len(group.rollouts) for group in log.groups.values()),
            "rollouts_repeated": sum(group.rollouts.total() - len(group.rollouts) for group in log.groups.values()),
            "verdicts": sum(group.copies for group in log.groups.values()),
            "infra_errors": sum(score is None for group in log.groups.values() for score in group.verdicts.values()),
            "score_rows": database.scores.rows.total(),
            "closings": len(log.closings),
            "closings_taken_back": len(log.closings) - surviving,
            "lineages": len(evidence.lineages.starts),
            "claims_refused": evidence.lineages.refused,
            "dead_letters": log.dead_letters.total(),
        },
        dead_letters=dict(log.dead_letters),
        audited_at=time.time(),
        unprovable=unprovable_in(evidence),
    )


def save(report: AuditReport, folder: Path) -> Path:
    """Writes the report into the run's folder; returns its path."""
    file = folder / AUDIT_FILE
    replace_file(file, msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
    return file


def load(folder: Path) -> AuditReport:
    """Reads a stored report. Raises FileNotFoundError, or ValueError if it is damaged."""
    file = folder / AUDIT_FILE
    try:
        return msgspec.json.decode(file.read_bytes(), type=AuditReport)
    except msgspec.DecodeError as error:
        raise ValueError(
            f"{file} is not an audit report: {error}; audit the run again while its broker is up"
        ) from error
