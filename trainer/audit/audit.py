"""Audits one run: every dispatched group ended with exactly one outcome, no group trained twice, and nothing that was
acknowledged is lost. The evidence is the log and Postgres; the rules are in `trainer.audit.rules`.

The embedded broker keeps nothing after it ends. The report is therefore stored in the run's folder before the broker
stops, and a report that is shown later says that it was stored.
"""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Engine

from infra.files.replace import replace_file
from infra.settings.tree import Settings
from streams.clients import BrokerUnavailableError, LogReader
from streams.messages import GroupClosed
from trainer.audit.evidence import KINDS, Evidence, GroupEvidence, fold
from trainer.audit.gathering import audit_topics, gather, outcomes_by_purpose
from trainer.audit.rules import (
    GROUP_RULES,
    Verdicts,
    Violation,
    contiguous_ordinals,
    counted_statistics,
    readable_records,
)
from trainer.audit.spool import EvidenceSpool

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
    with EvidenceSpool(KINDS) as spool:
        return report_on(gather(run_id, engine, reader, spool))


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
    """Judges the groups one by one, by rising seq, then what holds between them."""
    run = evidence.run
    verdicts, tally = Verdicts(evidence.gone), _Tally()
    with EvidenceSpool((GroupClosed,)) as by_ordinal:
        for seq, items in evidence.spool.groups():
            group = fold(run, seq, items, tally.newest, tally.counts["groups"])
            verdicts.add(violation for rule in GROUP_RULES for violation in rule(group))
            tally.add(group)
            for closing in group.surviving if run.finished else ():
                by_ordinal.add(closing.ordinal, closing)
        if run.finished:  # while a learner writes, a later closing may be acknowledged before an earlier one
            numbered = (sorted((each.item for each in same), key=_lineage) for _, same in by_ordinal.groups())
            verdicts.add(contiguous_ordinals(chain.from_iterable(numbered)))
    verdicts.add(counted_statistics(evidence.statistics))
    verdicts.add(readable_records(evidence.spool.unreadable()))
    tally.counts["lineages"] = len(run.lineages.starts)
    tally.counts["claims_refused"] = run.lineages.refused
    tally.counts["dead_letters"] = evidence.dead_letters.total()
    return AuditReport(
        run_id=run.run_id,
        violations=verdicts.proved,
        finished=run.finished,
        groups={purpose: dict(found) for purpose, found in tally.groups.items()},
        counts=tally.counts,
        dead_letters=dict(evidence.dead_letters),
        audited_at=time.time(),
        unprovable=verdicts.unprovable(),
    )


def _lineage(closing: GroupClosed) -> int:
    return closing.lineage


class _Tally:
    """The numbers of a report, counted group by group."""

    def __init__(self) -> None:
        self.groups: dict[str, Counter[str]] = {}
        self.newest = -1
        """The seq of the last group that has a row."""
        self.counts = dict.fromkeys(_COUNTED, 0)

    def add(self, group: GroupEvidence) -> None:
        log = group.log
        if group.after is not None:
            self.newest = group.seq
            outcome = str(group.surviving[-1].outcome) if group.surviving else "open"
            self.groups.setdefault(group.after.purpose, Counter())[outcome] += 1
        for name, count in (
            ("groups", group.after is not None),
            ("tickets", group.tickets),
            ("tickets_repeated", max(0, group.tickets - 1)),
            ("rollouts", len(log.rollouts)),
            ("rollouts_repeated", log.rollouts.total() - len(log.rollouts)),
            ("verdicts", log.copies),
            ("infra_errors", sum(score is None for score in log.verdicts.values())),
            ("score_rows", len(group.scores)),
            ("closings", len(group.closings)),
            ("closings_taken_back", len(group.closings) - len(group.surviving)),
        ):
            self.counts[name] += count


_COUNTED = (
    "groups",
    "tickets",
    "tickets_repeated",
    "rollouts",
    "rollouts_repeated",
    "verdicts",
    "infra_errors",
    "score_rows",
    "closings",
    "closings_taken_back",
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
