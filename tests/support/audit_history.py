"""A sound run as the audit sees it, made by hand, to be broken in one place by each test."""

from dataclasses import replace

from streams.codec import encode, headers_of
from streams.messages import (
    GroupClosed,
    LineageStarted,
    Outcome,
    PromptTicket,
    Purpose,
    Rollout,
    Route,
    ScoredTrajectory,
)
from streams.records import Record
from support.messages import RUN, closed, rollout, scored, started, ticket, verdict
from trainer.audit.audit import report_on
from trainer.audit.contents import AuditedScore, Found
from trainer.audit.evidence import (
    KINDS,
    AuditedGroup,
    AuditedRun,
    Evidence,
    RowAfter,
    RowBefore,
    digest,
    lineages_of,
)
from trainer.audit.gathering import add_score, later_lineage, read_log
from trainer.audit.spool import EvidenceSpool

END = 1000.0
SAMPLES = 2
SINK = {("scored", 0): 1000}


TOPICS = {
    PromptTicket: "prompts",
    Rollout: "rollouts",
    ScoredTrajectory: "scored",
    GroupClosed: "groups.closed",
    LineageStarted: "groups.closed",
}


class History:
    """A sound run: group 0 is measured, 1 to 3 trained, 2 twice, since the learner resumed; 4 expired half done."""

    def __init__(self):
        self.messages = [
            started(1, 0),
            *(ticket(seq, purpose=Purpose.EVAL if seq == 0 else Purpose.TRAIN) for seq in range(5)),
            ticket(3),
            *(rollout(seq, index) for seq in range(4) for index in range(SAMPLES)),
            rollout(1, 0),
            *(scored(seq, index, float(index)) for seq in range(4) for index in range(SAMPLES)),
            scored(1, 0, 1.0),
            scored(1, 0, 1.0, route=Route.GENRM),
            rollout(4, 0),
            scored(4, 0, None),
            closed(0, 0, Outcome.FILTERED, mean_score=0.5),
            closed(1, 1, mean_score=0.5),
            closed(2, 2, mean_score=0.5),
            started(2, 2),
            closed(2, 2, lineage=2, mean_score=0.5),
            closed(3, 3, lineage=2, mean_score=0.5),
            closed(4, 4, Outcome.EXPIRED, lineage=2),
        ]
        self.extra = []
        self.rows = {
            seq: AuditedGroup(seq, f"{RUN}:{seq}", "eval" if seq == 0 else "train", SAMPLES, True, b"", *end)
            for seq, end in enumerate(
                [("filtered", 1, 0), ("trained", 1, 1), ("trained", 2, 2), ("trained", 2, 3), ("expired", 2, 4)]
            )
        }
        for seq, row in self.rows.items():
            purpose = Purpose.EVAL if seq == 0 else Purpose.TRAIN
            facts = {"closed_version": 1}
            if seq < 4:
                facts["mean_score"] = 0.5
            if 1 <= seq < 4:
                facts["staleness"] = 0
            self.rows[seq] = replace(row, digest=digest(encode(ticket(seq, purpose=purpose))), **facts)
        self.row_changes = {}
        """Rollout id -> what its row of `scores` says instead of the log; None for a row that is missing."""
        self.more_rows = []
        self.statistics = []
        self.finished = True
        self.gone = {}

    def drop(self, kind, **fields):
        def matches(message):
            plain = message.rollout if isinstance(message, ScoredTrajectory) else message
            return isinstance(message, kind) and all(getattr(plain, k) == v for k, v in fields.items())

        kept = [message for message in self.messages if not matches(message)]
        assert len(kept) < len(self.messages)
        self.messages = kept

    def row(self, seq, **changes):
        self.rows[seq] = replace(self.rows[seq], **changes)

    def evidence(self):
        records = [
            Record(TOPICS[type(m)], 0, offset, 0.0, b"k", encode(m), tuple(headers_of(m)))
            for offset, m in enumerate(self.messages)
        ]
        spool = EvidenceSpool(KINDS)
        for row in self.rows.values():
            spool.add(row.seq, RowBefore(row))
        log = read_log(RUN, records + self.extra, SINK, spool)
        last = None
        for row in self.rows.values():
            spool.add(row.seq, RowAfter(row))
            last = later_lineage(last, row)
        for score in self.stored():
            add_score(RUN, score, spool)
        run = AuditedRun(RUN, self.finished, lineages_of(log.starts, last if self.finished else None))
        return Evidence(run, spool, self.gone, log.dead_letters, self.statistics)

    def stored(self):
        """The rows of `scores`, as the sink has written them: the first verdict of each key."""
        rows = {}
        for offset, message in enumerate(self.messages):
            if isinstance(message, ScoredTrajectory) and offset < SINK["scored", 0]:
                made = message.rollout
                key = (made.rollout_id, str(message.route), message.scorer, message.scorer_version)
                found = self.row_changes.get(made.rollout_id, Found(message.score, str(message.status)))
                if found is not None:
                    rows.setdefault(key, AuditedScore(made.group_id, key, found))
        return [*rows.values(), *self.more_rows]

    def violations(self):
        return {(violation.kind, violation.group) for violation in report_on(self.evidence()).violations}


def spool_long_run(groups, spool):
    """The evidence of a sound run of many groups, each trained, with two samples; its records and rows come in the
    order of a log and of tables without one, none of them kept.
    """

    def rows():
        for seq in range(groups):
            sha = digest(encode(ticket(seq)))
            yield AuditedGroup(seq, f"{RUN}:{seq}", "train", SAMPLES, True, sha, "trained", 1, seq, 1, 0, 0.5)

    def records():
        yield "groups.closed", started(1, 0)
        for seq in range(groups):
            yield "prompts", ticket(seq)
            made = [rollout(seq, index) for index in range(SAMPLES)]
            yield from (("rollouts", each) for each in made)
            yield from (("scored", verdict(each, float(index))) for index, each in enumerate(made))
            yield "groups.closed", closed(seq, seq, mean_score=0.5, version=1)

    log = read_log(
        RUN,
        (
            Record(topic, 0, offset, 0.0, b"k", encode(message), tuple(headers_of(message)))
            for offset, (topic, message) in enumerate(records())
        ),
        {("scored", 0): 6 * groups},
        spool,
    )
    for row in rows():
        spool.add(row.seq, RowBefore(row))
        spool.add(row.seq, RowAfter(row))
    for seq in reversed(range(groups)):
        for index, status in enumerate(("wrong", "correct")):
            key = (f"{RUN}:{seq}/{index}", "rtv", "math", "1")
            add_score(RUN, AuditedScore(f"{RUN}:{seq}", key, Found(float(index), status)), spool)
    return Evidence(AuditedRun(RUN, True, lineages_of(log.starts, 1)), spool, {}, log.dead_letters, [])
