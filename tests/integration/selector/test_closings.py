"""Outcomes in `groups` follow the surviving history, in whatever order the partitions are read."""

import random
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select, update
from support.messages import RUN, closed, started

from infra.db.models import Group, Prompt
from streams.messages import GroupClosed, Outcome
from trainer.curriculum import apply_closings
from trainer.curriculum.lineages import Lineages

GROUPS = 8


@pytest.fixture
def groups(engine):
    """Resets the table to open groups."""
    with engine.begin() as connection:
        connection.execute(
            insert(Prompt).values(id="p", domain="qa", split="train", origin="new", messages=[], question={}, source="")
        )

    def reset(connection):
        now = datetime.now(UTC)
        connection.execute(delete(Group))
        fixed = {"run_id": RUN, "prompt_id": "p", "purpose": "train", "samples": 1, "label": "", "ticket": b""}
        fixed |= {
            "ticket_digest": b"",
            "dispatched_version": 0,
            "dispatched_lineage": 0,
            "confirmed": True,
            "deadline": now,
        }
        connection.execute(insert(Group), [fixed | {"seq": seq, "group_id": f"{RUN}:{seq}"} for seq in range(GROUPS)])

    return reset


def outcomes(connection):
    query = select(Group.seq, Group.outcome, Group.closed_lineage, Group.closed_ordinal)
    return {row.seq: tuple(row[1:]) for row in connection.execute(query) if row.outcome is not None}


@st.composite
def histories(draw):
    """What a learner writes that is killed and resumes from checkpoints, and what of it survives."""
    messages, surviving = [], {}
    for lineage in range(1, draw(st.integers(1, 4)) + 1):
        ordinal = draw(st.integers(0, len(surviving)))
        surviving = {seq: value for seq, value in surviving.items() if value[2] < ordinal}
        messages.append(started(lineage, ordinal))
        left = draw(st.permutations([seq for seq in range(GROUPS) if seq not in surviving]))
        for seq in left[: draw(st.integers(0, len(left)))]:
            outcome = draw(st.sampled_from(list(Outcome)))
            messages.append(closed(seq, ordinal, outcome, lineage=lineage))
            surviving[seq] = (outcome, lineage, ordinal)
            ordinal += 1
    return messages, surviving


def interleaved(messages, rng):
    """The messages as a reader of three partitions gets them: each partition in order, batches in any."""
    partitions = [[], [], []]
    for message in messages:
        partitions[message.seq % 3 if isinstance(message, GroupClosed) else 0].append(message)
    order = []
    while filled := [partition for partition in partitions if partition]:
        order.append(rng.choice(filled).pop(0))
    while order:
        size = rng.randint(1, 4)
        yield order[:size]
        order = order[size:]


@given(histories(), st.integers(0, 2**16))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_interleaving_ends_in_the_surviving_history(engine, groups, history, seed):
    messages, surviving = history
    rng = random.Random(seed)
    with engine.begin() as connection:
        groups(connection)
        for _ in range(2):  # the second time: a selector that restarted reads from the beginning
            lineages = Lineages()
            for batch in interleaved(messages, rng):
                apply_closings.apply(connection, RUN, lineages, batch)
            assert outcomes(connection) == surviving


def test_a_reason_may_quote_a_response(engine, groups):
    with engine.begin() as connection:
        groups(connection)
        message = closed(0, 0, reason="a\x00b")
        apply_closings.apply(connection, RUN, Lineages(), [message])
        assert connection.scalar(select(Group.reason).where(Group.seq == 0)) == "a\N{REPLACEMENT CHARACTER}b"


def test_a_closed_group_has_no_ticket_and_keeps_its_digest(engine, groups):
    with engine.begin() as connection:
        groups(connection)
        connection.execute(update(Group).values(ticket=b"ticket", ticket_digest=b"digest"))
        apply_closings.apply(connection, RUN, Lineages(), [closed(0, 0)])
        rows = connection.execute(select(Group.ticket, Group.ticket_digest).order_by(Group.seq)).all()
    assert [tuple(row) for row in rows] == [(None, b"digest"), *[(b"ticket", b"digest")] * (GROUPS - 1)]
