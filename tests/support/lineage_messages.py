"""What a learner says in `groups.closed`."""

from streams.messages import GroupClosed, LineageStarted, Outcome, Purpose

RUN = "run"


def closed(seq, ordinal, outcome=Outcome.TRAINED, lineage=1):
    return GroupClosed(
        run_id=RUN,
        group_id=f"{RUN}:{seq}",
        seq=seq,
        purpose=Purpose.TRAIN,
        outcome=outcome,
        reason="",
        lineage=lineage,
        ordinal=ordinal,
        version=1,
        staleness=0,
        mean_score=None,
        closed_at=0.0,
    )


def started(lineage, ordinal, *, version=0, at=0.0):
    return LineageStarted(run_id=RUN, lineage=lineage, version=version, ordinal=ordinal, started_at=at)
