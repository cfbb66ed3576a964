"""A selection goes on during training: what the policy has learned leaves, and what has become worth it enters."""

from collections import Counter

from sqlalchemy import select
from support.selector_loop import play, rows

from infra.db.models import Prompt, Selection, SelectionRound
from streams.messages import Purpose
from trainer.audit.audit import audit_run
from trainer.curriculum.decisions import explain_prompt
from trainer.curriculum.runs import Phase

RULE = {
    "rule": "informative",
    "samples": 4,
    "keep_share": 0.5,
    "originals": "rank",
    "every_versions": 2,
    "unseen_share": 0,
    "stale_share": 0,
}


def test_a_prompt_that_is_learned_is_dropped_at_the_next_round(make_loop, engine, prompts):
    """The prompts 0 to 2 of each domain are right half of the time, until version 4, and 3 to 5 never; then it is the
    other way round: the former are solved, and the latter half right.
    """
    loop = make_loop(preppo=RULE, max_steps=24, eval_at_start=False, eval_at_end=False, group_size=4)

    def score(ticket, sample):
        early = int(prompts[ticket.prompt_id].split()[1][0]) < 3
        if loop.peer.version < 4:
            return sample % 2 if early else 0
        return 1 if early else sample % 2

    loop.peer.score_of = score
    loop.peer.start_lineage()
    assert play(loop)[-1] is Phase.FINISHED
    number = {prompt_id: int(text.split()[1][0]) for prompt_id, text in prompts.items()}
    chosen = select(Selection.round, Prompt.id).join(Prompt, Prompt.number == Selection.prompt_number)
    by_round: dict[int, Counter[bool]] = {}
    for round_, prompt_id in rows(engine, chosen.where(Selection.selected)):
        by_round.setdefault(round_, Counter())[number[prompt_id] < 3] += 1
    versions = dict(rows(engine, select(SelectionRound.round, SelectionRound.version)))
    assert by_round[0] == {True: 6}
    last = max(by_round)
    assert versions[last] >= 20
    assert by_round[last][True] < 6  # what is solved has lost its place
    late = [t for t in loop.peer.read if t.purpose is Purpose.TRAIN and t.seq > max(t.seq for t in loop.peer.read) - 8]
    assert any(number[ticket.prompt_id] >= 3 for ticket in late)
    with engine.connect() as connection:
        dropped = next(prompt_id for prompt_id in number if number[prompt_id] == 0)
        history = explain_prompt(connection, loop.settings.run.id, dropped)
    assert [decision.round for decision in history] == sorted(by_round)
    assert "has a spread with probability" in history[0].why
    assert audit_run(loop.settings, loop.bootstrap, engine).violations == []


def test_responses_that_come_to_agree_on_a_wrong_answer_are_quarantined_in_a_later_round(make_loop, engine, prompts):
    chosen = RULE | {"originals": "keep", "keep_share": 1.0}
    loop = make_loop(preppo=chosen, max_steps=20, eval_at_start=False, eval_at_end=False, group_size=8)
    loop.peer.score_of = lambda _ticket, _sample: 0
    loop.peer.text_of = lambda ticket, sample: f"answer {sample}" if ticket.purpose is Purpose.ASSESS else "The same."
    loop.peer.start_lineage()
    play(loop)
    quarantined = rows(engine, select(Prompt.quarantined, Prompt.origin).where(Prompt.quarantined.is_not(None)))
    assert quarantined
    assert {row.origin for row in quarantined} == {"new"}
    assert all("agree on 'the same'" in row.quarantined for row in quarantined)
