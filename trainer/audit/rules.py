"""The rules of an audit: pure functions from the evidence about one group to violations that name it. What holds
between groups, the numbers of the closings, is a rule over a sorted stream.

The surviving history consists of the closings that no later lineage took back (`streams.messages.LineageStarted`). A
learner that was started after the run had finished is not part of the run's history and is left out: the selector,
which wrote the surviving outcomes, has never heard of its lineage. No rule compares clocks.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import msgspec

from streams.messages import GroupClosed, Outcome, Purpose, group_id
from streams.topics import Topic
from trainer.audit.contents import Difference, compare_score
from trainer.audit.evidence import AuditedGroup, GroupEvidence, GroupLog

_COMPLETE = (Outcome.TRAINED, Outcome.FILTERED, Outcome.STALE)
"""Outcomes that only a group with verdicts for all samples can have."""
_ROUNDING = 1e-9
"""Sums of scores in another order differ by less."""


class Violation(msgspec.Struct, frozen=True, kw_only=True):
    kind: str
    group: str
    """The group's id, or the record's place in the log if the group is unknown."""
    detail: str


GroupRule = Callable[[GroupEvidence], Iterator[Violation]]


def one_outcome(group: GroupEvidence) -> Iterator[Violation]:
    """Every dispatched group ends with exactly one outcome, and none trains twice."""
    closings = group.surviving
    if group.before is not None and not closings and group.run.finished:
        detail = "dispatched, and no outcome survives"
        yield Violation(kind="never_closed", group=group.before.group_id, detail=detail)
    if len(closings) > 1:
        trained = sum(closing.outcome is Outcome.TRAINED for closing in closings)
        ends = ", ".join(f"{c.outcome} (lineage {c.lineage}, ordinal {c.ordinal})" for c in closings)
        kind = "trained_twice" if trained > 1 else "closed_twice"
        yield Violation(kind=kind, group=closings[0].group_id, detail=ends)


def known_group(group: GroupEvidence) -> Iterator[Violation]:
    """Every ticket, rollout and closing belongs to a row of `groups`. The learner also fails the group that a record
    names which it refuses; if no sound record names that group, nobody dispatched it.
    """
    row = group.after
    if row is None and group.tickets:
        yield Violation(kind="ticket_without_row", group=group.ticket_id, detail="in the log, not in Postgres")
    if (row is None or row.group_id != group.group_id) and not group.log.is_empty:
        detail = "rollouts in the log, no row in Postgres"
        yield Violation(kind="rollout_without_row", group=group.group_id, detail=detail)
    if row is None and group.surviving:
        first = group.surviving[0]
        is_named_by_refused_alone = first.outcome is Outcome.FAILED and not group.tickets and group.log.is_empty
        if not is_named_by_refused_alone:
            detail = "closed in the log, no row in Postgres"
            yield Violation(kind="closing_without_row", group=first.group_id, detail=detail)


def contiguous_seq(group: GroupEvidence) -> Iterator[Violation]:
    """Groups are numbered from 0 without a gap. Only the first gap is named."""
    is_first_gap = group.previous == group.rank - 1 and group.seq != group.rank
    if group.after is not None and is_first_gap:
        detail = f"the next group after {group.previous} is {group.seq}"
        yield Violation(kind="seq_gap", group=group_id(group.run.run_id, group.rank), detail=detail)


def delivered_ticket(group: GroupEvidence) -> Iterator[Violation]:
    """A confirmed ticket is in the log, byte for byte; in a finished run every ticket is confirmed."""
    row = group.before
    if row is None:
        return
    if not group.tickets:
        if row.confirmed or group.run.finished:
            yield Violation(kind="ticket_lost", group=row.group_id, detail="in Postgres, not in the log")
    elif group.digests != {row.digest}:
        yield Violation(kind="ticket_differs", group=row.group_id, detail="its bytes in the log differ")


def complete_group(group: GroupEvidence) -> Iterator[Violation]:
    """If a group was trained on, filtered or stale, every one of its samples was scored."""
    row = group.after
    if row is None or not group.surviving or group.surviving[-1].outcome not in _COMPLETE:
        return
    scored = sum(group.log.verdicts.get(index) is not None for index in range(row.samples))
    if scored < row.samples:
        detail = f"{group.surviving[-1].outcome} with {scored} of {row.samples} samples scored"
        yield Violation(kind="incomplete", group=row.group_id, detail=detail)


def honest_scores(group: GroupEvidence) -> Iterator[Violation]:
    """A verdict has no score if and only if it is an infra_error."""
    for detail in group.log.bad_verdicts:
        yield Violation(kind="score_of_infra_error", group=group.group_id, detail=detail)


def stored_scores(group: GroupEvidence) -> Iterator[Violation]:
    """Every verdict below the sink's offset has a row, and every row is the log's verdict: its score and status. While
    the run goes on, rows are written whose verdict came after the log was read.
    """
    for row in group.scores:
        for kind, name, detail in compare_score(row, group.log.said.get(row.key, [])):
            if group.run.finished or kind != "row_without_verdict":
                yield Violation(kind=kind, group=name, detail=detail)
    rows, stored = len(group.scores), len(group.log.stored)
    if rows < stored:
        detail = f"{stored} verdicts in the log below the sink's offset, {rows} rows in Postgres"
        yield Violation(kind="scores_lost", group=group.group_id, detail=detail)


def same_outcome(group: GroupEvidence) -> Iterator[Violation]:
    """An outcome in Postgres is in the log; in a finished run it is the surviving one."""
    row = group.before
    if row is None or row.outcome is None:
        return
    closings = {(closing.lineage, closing.ordinal): closing for closing in group.closings}
    found = closings.get((row.closed_lineage or 0, row.closed_ordinal or 0))
    stored = f"{row.outcome} (lineage {row.closed_lineage}, ordinal {row.closed_ordinal}) in Postgres"
    if found is None or found.outcome != row.outcome:
        log = "no such closing" if found is None else str(found.outcome)
        yield Violation(kind="outcome_differs", group=row.group_id, detail=f"{stored}, {log} in the log")
    elif facts_of(row) != (found.version, found.staleness, found.mean_score):
        detail = f"version, staleness and mean score are {facts_of(row)} in Postgres, in the log "
        detail += f"{(found.version, found.staleness, found.mean_score)}"
        yield Violation(kind="closing_differs", group=row.group_id, detail=detail)
    elif group.run.finished and found not in group.surviving:
        yield Violation(kind="outcome_abandoned", group=row.group_id, detail=f"{stored}, taken back in the log")


def trained_contents(group: GroupEvidence) -> Iterator[Violation]:
    """What a group was trained on is in the log: it was dispatched for training, its members are its samples, each with
    a rollout; and its closing tells their mean score and staleness.
    """
    closing = group.surviving[-1] if group.surviving else None
    row = group.after
    if row is None or closing is None or closing.outcome is not Outcome.TRAINED:
        return
    if Purpose.TRAIN not in {row.purpose, closing.purpose}:
        yield Violation(kind="trained_measurement", group=closing.group_id, detail=f"trained for {row.purpose}")
    if not group.log.is_empty:
        yield from _members(closing, row, group.log)


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


GROUP_RULES: tuple[GroupRule, ...] = (
    one_outcome,
    known_group,
    contiguous_seq,
    delivered_ticket,
    complete_group,
    honest_scores,
    stored_scores,
    same_outcome,
    trained_contents,
)


def contiguous_ordinals(closings: Iterable[GroupClosed]) -> Iterator[Violation]:
    """The closings in the surviving history of a finished run are numbered from 0 without a gap, so none is lost.

    `closings`: by rising ordinal, then by lineage. Only the first gap is named; if there is none, every closing whose
    number was used before is.
    """
    last: GroupClosed | None = None
    reused = []
    for closing in closings:
        ordinal, newest = closing.ordinal, -1 if last is None else last.ordinal
        if last is not None and ordinal == newest:
            detail = f"closed as number {ordinal}, as was {last.group_id}"
            reused.append(Violation(kind="ordinal_reused", group=closing.group_id, detail=detail))
        elif ordinal == newest + 1:
            last = closing
        else:
            detail = f"closed as number {ordinal}, after number {newest}: closings between are lost"
            yield Violation(kind="closing_lost", group=closing.group_id, detail=detail)
            return
    yield from reused


def readable_records(unreadable: Iterable[tuple[str, str]]) -> Iterator[Violation]:
    """Every record that does not decode is in the dead letters. `unreadable`: (place in the log, error) of others."""
    for place, error in unreadable:
        yield Violation(kind="unreadable", group=place, detail=error)


def counted_statistics(differences: Iterable[Difference]) -> Iterator[Violation]:
    """The statistics of a prompt count its rows."""
    for kind, prompt, detail in differences:
        yield Violation(kind=kind, group=prompt, detail=detail)


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


@dataclass(slots=True)
class Verdicts:
    """Violations that the log proves, as far as it is still there, and the number of those that it does not."""

    gone: Mapping[str, int]
    """Number of records that the log no longer holds, by topic without the prefix."""
    proved: list[Violation] = field(default_factory=list)
    open: Counter[Topic] = field(default_factory=Counter)
    """Number of findings that rest on records which are gone, by their topic."""

    def add(self, found: Iterable[Violation]) -> None:
        for violation in found:
            topic = _RESTS_ON.get(violation.kind)
            if topic is not None and topic in self.gone:
                self.open[topic] += 1
            else:
                self.proved.append(violation)

    def unprovable(self) -> list[str]:
        """What cannot be proved since retention removed the head of the log, in sentences; empty for a whole log."""
        return [
            f"{count} records of {topic} are gone from the log: {self.open[Topic(topic)]} findings which rest on it "
            "are neither proved nor refuted"
            for topic, count in sorted(self.gone.items())
        ]
