"""The learner as a process on a log full of hostile records: it goes on, and closes every group that was dispatched."""

from hypothesis import strategies as st
from support.hostile_messages import drawn, hostile_records
from support.learner_loop import LearnerLoop
from support.messages import rollout, scored, ticket

from streams.messages import Outcome
from streams.topics import Topic

HOSTILE = 150


def test_a_hostile_log_ends_neither_the_learner_nor_an_innocent_group(loop: LearnerLoop) -> None:
    run_id = loop.run_id
    others = [ticket(0, run_id=run_id), rollout(0, 0, run_id=run_id)]
    loop.send(ticket(0, run_id=run_id))
    verdicts = hostile_records(scored(0, 0, 1.0, run_id=run_id), "scored", others)
    tickets = hostile_records(ticket(0, run_id=run_id), "prompts", others)
    for topic, strategy in ((Topic.SCORED, verdicts), (Topic.PROMPTS, tickets)):
        loop.send_records(topic, drawn(strategy, HOSTILE))
    for seq in (1, 2):
        loop.dispatch(seq)
    loop.send_records(Topic.SCORED, drawn(st.one_of(verdicts), HOSTILE)[:40])
    loop.start("learner")
    found = loop.closings_until(lambda c: {0, 1, 2} <= {each.seq for each in c.closed})
    outcomes = {each.seq: each.outcome for each in found.closed}
    assert outcomes[1] is outcomes[2] is Outcome.TRAINED
    assert outcomes[0] is Outcome.FAILED
    loop.dispatch(3, 4, version=1)
    loop.closings_until(lambda c: {3, 4} <= {each.seq for each in c.closed})
