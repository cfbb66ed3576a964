"""Prompts that change their scorer while the run trains on them."""

from support.selector_loop import MAX_ROUNDS, play, reach

from streams.messages import Purpose
from trainer.curriculum.runs import Phase
from trainer.prompts.rerouting import NewRoute, by_domain, reroute


def verifiers(tickets, domain="mathematics"):
    return [
        ticket.question.verifier for ticket in tickets if ticket.domain == domain and ticket.purpose is Purpose.TRAIN
    ]


def test_groups_dispatched_after_the_change_have_the_new_scorer_and_the_others_keep_theirs(
    make_loop, engine, prompts
) -> None:
    loop = make_loop()
    context, phases = reach(loop, Phase.TRAIN)
    for _ in range(MAX_ROUNDS):
        loop.round(context, phases)
        loop.peer.receive()
        if verifiers(loop.peer.read):
            break
    before = len(loop.peer.read)
    with engine.begin() as connection:
        assert reroute(connection, by_domain("mathematics"), NewRoute(veto="exact")).changed == 8
    assert play(loop)[-1] is Phase.FINISHED
    assert set(verifiers(loop.peer.read[:before])) == {"exact"}
    after = loop.peer.read[before:]
    assert set(verifiers(after)) <= {None}
    assert {ticket.question.veto for ticket in after if ticket.domain == "mathematics"} == {"exact"}
    assert {group.outcome for group in loop.groups()} <= {"trained", "filtered"}
