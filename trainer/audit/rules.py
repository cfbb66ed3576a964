"""The rules of an audit. Each is a pure function from evidence to violations that name the group.

The surviving history consists of the closings that no later lineage took back (`streams.messages.LineageStarted`). A
learner that was started after the run had finished is not part of the run's history and is left out: the selector,
which wrote the surviving outcomes, has never heard of its lineage. No rule compares clocks.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import msgspec

from streams.messages import GroupClosed, Outcome, Purpose
from streams.topics import Topic
from trainer.audit.evidence import AuditedGroup, DatabaseEvidence, GroupLog, LogEvidence
from trainer.curriculum.lineages import Lineages

_COMPLETE = (Outcome.TRAINED, Outcome.FILTERED, Outcome.STALE)
"""Outcomes that only a group with verdicts for all samples can have."""
_ROUNDING = 1e-9
"""Sums of scores in another order differ by less."""


class Violation(msgspec.Struct, frozen=True, kw_only=True):
    kind: str
    group: str
    """The group's id, or the record's place in the log if the group is unknown."""
    detail: str


@dataclass(frozen=True)
class Evidence:
    run_id: str
    log: LogEvidence
    database: DatabaseEvidence

    @property
    def finished(self) -> bool:
        return self.database.finished_at is not None

    @cached_property
    def lineages(self) -> Lineages:
        heard = [row.closed_lineage for row in self.database.after.values() if row.closed_lineage is not None]
        last = max(heard, default=None) if self.finished else None
        return Lineages.of([start for start in self.log.starts if last is None or start.lineage <= last])

    @cached_property
    def surviving(self) -> dict[int, list[GroupClosed]]:
        """Surviving closings by seq; a sound history has one each. A closing that was read twice counts once."""
        unique = {
            (closing.seq, closing.lineage, closing.ordinal, closing.outcome): closing
            for closing in self.lineages.admit(self.log.closings)
        }
        by_seq: dict[int, list[GroupClosed]] = defaultdict(list)
        for closing in sorted(unique.values(), key=lambda closing: (closing.ordinal, closing.lineage)):
            by_seq[closing.seq].append(closing)
        return dict(by_seq)

    def group(self, seq: int) -> str:
        return f"{self.run_id}:{seq}"


Rule = Callable[[Evidence], Iterator[Violation]]


def one_outcome(evidence: Evidence) -> Iterator[Violation]:
    """Every dispatched group ends with exactly one outcome, and none trains twice."""
    for seq, row in evidence.database.before.items():
        closings = evidence.surviving.get(seq, [])
        if not closings and evidence.finished:
            yield Violation(kind="never_closed", group=row.group_id, detail="dispatched, and no outcome survives")
    for closings in evidence.surviving.values():
        if len(closings) < 2:
            continue
        trained = sum(closing.outcome is Outcome.TRAINED for closing in closings)
        ends = ", ".join(f"{c.outcome} (lineage {c.lineage}, ordinal {c.ordinal})" for c in closings)
        kind = "trained_twice" if trained > 1 else "closed_twice"
        yield Violation(kind=kind, group=closings[0].group_id, detail=ends)


def contiguous_ordinals(evidence: Evidence) -> Iterator[Violation]:
    """The closings in the surviving history of a finished run are numbered from 0 without a gap, so none is lost."""
    if not evidence.finished:  # while a learner writes, a later closing may be acknowledged before an earlier one
        return
    by_ordinal: dict[int, list[GroupClosed]] = defaultdict(list)
    for closings in evidence.surviving.values():
        for closing in closings:
            by_ordinal[closing.ordinal].append(closing)
    for expected, ordinal in enumerate(sorted(by_ordinal)):
        if ordinal != expected:
            group = by_ordinal[ordinal][0].group_id
            detail = f"closed as number {ordinal}, after number {expected - 1}: closings between are lost"
            yield Violation(kind="closing_lost", group=group, detail=detail)
            return
    for ordinal, closings in by_ordinal.items():
        for other in closings[1:]:
            detail = f"closed as number {ordinal}, as was {closings[0].group_id}"
            yield Violation(kind="ordinal_reused", group=other.group_id, detail=detail)


def known_groups(evidence: Evidence) -> Iterator[Violation]:
    """Every ticket, rollout and closing belongs to a row of `groups`. The learner also fails the group that a record
    names which it refuses; if no sound record names that group, nobody dispatched it.
    """
    rows = evidence.database.after
    for seq, ticket in evidence.log.tickets.items():
        if seq not in rows:
            yield Violation(kind="ticket_without_row", group=ticket.group_id, detail="in the log, not in Postgres")
    ids = {row.group_id for row in rows.values()}
    for group in evidence.log.groups:
        if group not in ids:
            yield Violation(kind="rollout_without_row", group=group, detail="rollouts in the log, no row in Postgres")
    for closings in evidence.surviving.values():
        first = closings[0]
        is_named_by_refused_alone = (
            first.outcome is Outcome.FAILED
            and first.seq not in evidence.log.tickets
            and first.group_id not in evidence.log.groups
        )
        if first.seq not in rows and not is_named_by_refused_alone:
            detail = "closed in the log, no row in Postgres"
            yield Violation(kind="closing_without_row", group=first.group_id, detail=detail)


def contiguous_seq(evidence: Evidence) -> Iterator[Violation]:
    """Groups are numbered from 0 without a gap."""
    for expected, seq in enumerate(sorted(evidence.database.after)):
        if seq != expected:
            detail = f"the next group after {expected - 1} is {seq}"
            yield Violation(kind="seq_gap", group=evidence.group(expected), detail=detail)
            return


def delivered_tickets(evidence: Evidence) -> Iterator[Violation]:
    """Every confirmed ticket is in the log, byte for byte; in a finished run every ticket is confirmed."""
    for seq, row in evidence.database.before.items():
        ticket = evidence.log.tickets.get(seq)
        if ticket is None:
            if row.confirmed or evidence.finished:
                yield Violation(kind="ticket_lost", group=row.group_id, detail="in Postgres, not in the log")
        elif ticket.digests != {row.digest}:
            yield Violation(kind="ticket_differs", group=row.group_id, detail="its bytes in the log differ")


def complete_groups(evidence: Evidence) -> Iterator[Violation]:
    """If a group was trained on, filtered or stale, every one of its samples was scored."""
    for closings in evidence.surviving.values():
        closing = closings[-1]
        row = evidence.database.after.get(closing.seq)
        if row is None or closing.outcome not in _COMPLETE:
            continue
        verdicts = evidence.log.groups[row.group_id].verdicts if row.group_id in evidence.log.groups else {}
        scored = sum(verdicts.get(index) is not None for index in range(row.samples))
        if scored < row.samples:
            detail = f"{closing.outcome} with {scored} of {row.samples} samples scored"
            yield Violation(kind="incomplete", group=row.group_id, detail=detail)


def honest_scores(evidence: Evidence) -> Iterator[Violation]:
    """A verdict has no score if and only if it is an infra_error."""
    for group, detail in evidence.log.bad_verdicts:
        yield Violation(kind="score_of_infra_error", group=group, detail=detail)


def stored_scores(evidence: Evidence) -> Iterator[Violation]:
    """Every verdict below the sink's offset has a row, and every row is the log's verdict: its score and status. The
    statistics of a prompt count its rows.
    """
    for kind, group, detail in [*evidence.database.scores.differences, *evidence.database.statistics]:
        yield Violation(kind=kind, group=group, detail=detail)
    for group, log in evidence.log.groups.items():
        rows = evidence.database.scores.rows.get(group, 0)
        if rows < len(log.stored):
            detail = f"{len(log.stored)} verdicts in the log below the sink's offset, {rows} rows in Postgres"
            yield Violation(kind="scores_lost", group=group, detail=detail)


def same_outcomes(evidence: Evidence) -> Iterator[Violation]:
    """Every outcome in Postgres is in the log; in a finished run it is the surviving one."""
    closings = {(c.seq, c.lineage, c.ordinal): c for c in evidence.log.closings}
    for seq, row in evidence.database.before.items():
        if row.outcome is None:
            continue
        found = closings.get((seq, row.closed_lineage or 0, row.closed_ordinal or 0))
        stored = f"{row.outcome} (lineage {row.closed_lineage}, ordinal {row.closed_ordinal}) in Postgres"
        if found is None or found.outcome != row.outcome:
            log = "no such closing" if found is None else str(found.outcome)
            yield Violation(kind="outcome_differs", group=row.group_id, detail=f"{stored}, {log} in the log")
        elif facts_of(row) != (found.version, found.staleness, found.mean_score):
            detail = f"version, staleness and mean score are {facts_of(row)} in Postgres, in the log "
            detail += f"{(found.version, found.staleness, found.mean_score)}"
            yield Violation(kind="closing_differs", group=row.group_id, detail=detail)
        elif evidence.finished and found not in evidence.surviving.get(seq, []):
            yield Violation(kind="outcome_abandoned", group=row.group_id, detail=f"{stored}, taken back in the log")


def trained_contents(evidence: Evidence) -> Iterator[Violation]:
    """What a group was trained on is in the log: it was dispatched for training, its members are its samples, each with
    a rollout; and its closing tells their mean score and staleness.
    """
    trained = [closings[-1] for closings in evidence.surviving.values() if closings[-1].outcome is Outcome.TRAINED]
    for closing in trained:
        row = evidence.database.after.get(closing.seq)
        log = evidence.log.groups.get(closing.group_id)
        if row is not None and Purpose.TRAIN not in {row.purpose, closing.purpose}:
            yield Violation(kind="trained_measurement", group=closing.group_id, detail=f"trained for {row.purpose}")
        if row is not None and log is not None:
            yield from _members(closing, row, log)


def _members(closing: GroupClosed, row: AuditedGroup, log: GroupLog) -> Iterator[Violation]:
    group = closing.group_id
    if log.sizes - {row.samples}:
        detail = f"dispatched with {row.samples} samples; its members name {sorted(log.sizes)}"
        yield Violation(kind="size_differs", group=group, detail=detail)
    lost = [index for index in range(row.samples) if not log.rollouts[index]]
    if lost:
        yield Violation(kind="rollouts_lost", group=group, detail=f"trained on samples {lost} without a rollout")
    scores = [score for _, score in sorted(log.verdicts.items()) if score is not None]
    if len(scores) != row.samples or len(log.partitions) > 1:
        return  # another rule says so; or no order says which of two verdicts on a sample came first
    mean = sum(scores) / len(scores)
    if closing.mean_score is not None and abs(closing.mean_score - mean) > _ROUNDING:
        detail = f"closed with mean score {closing.mean_score}; its verdicts in the log have {mean}"
        yield Violation(kind="mean_differs", group=group, detail=detail)
    age = max(0, closing.version - 1 - log.oldest) if log.oldest is not None else closing.staleness
    if closing.staleness != age:
        detail = f"closed with staleness {closing.staleness}; its oldest token was {age} versions old"
        yield Violation(kind="staleness_differs", group=group, detail=detail)


def facts_of(row: AuditedGroup) -> tuple[int | None, int | None, float | None]:
    return row.closed_version, row.staleness, row.mean_score


def readable_records(evidence: Evidence) -> Iterator[Violation]:
    """Every record that does not decode is in the dead letters."""
    for place, error in evidence.log.unreadable:
        yield Violation(kind="unreadable", group=place, detail=error)


RULES: tuple[Rule, ...] = (
    one_outcome,
    contiguous_ordinals,
    known_groups,
    contiguous_seq,
    delivered_tickets,
    complete_groups,
    honest_scores,
    stored_scores,
    same_outcomes,
    trained_contents,
    readable_records,
)

_RESTS_ON = {
    "never_closed": Topic.GROUPS_CLOSED,
    "closing_lost": Topic.GROUPS_CLOSED,
    "outcome_differs": Topic.GROUPS_CLOSED,
    "outcome_abandoned": Topic.GROUPS_CLOSED,
    "ticket_lost": Topic.PROMPTS,
    "incomplete": Topic.SCORED,
    "row_without_verdict": Topic.SCORED,
    "score_differs": Topic.SCORED,
    "mean_differs": Topic.SCORED,
    "staleness_differs": Topic.SCORED,
    "rollouts_lost": Topic.ROLLOUTS,
}
"""What proves nothing once records of a topic are gone: a record that is not found may have been there."""


def violations_of(evidence: Evidence) -> list[Violation]:
    """The violations that the log proves, as far as it is still there."""
    return [violation for violation in _found(evidence) if _RESTS_ON.get(violation.kind) not in evidence.log.gone]


def unprovable_in(evidence: Evidence) -> list[str]:
    """What cannot be proved since retention removed the head of the log, in sentences; empty for a whole log."""
    gone = evidence.log.gone
    open_ = Counter(_RESTS_ON[v.kind] for v in _found(evidence) if _RESTS_ON.get(v.kind) in gone)
    return [
        f"{count} records of {topic} are gone from the log: {open_[Topic(topic)]} findings which rest on it are "
        "neither proved nor refuted"
        for topic, count in sorted(gone.items())
    ]


def _found(evidence: Evidence) -> Iterator[Violation]:
    return (violation for rule in RULES for violation in rule(evidence))
