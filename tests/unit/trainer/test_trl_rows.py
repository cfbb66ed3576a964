"""Scored groups as rows of TRL's documented columns."""

from support.messages import closed, rollout_of, ticket, verdict

from streams.codec import encode
from streams.records import Record
from trainer.groups.groups import GroupBook
from trainer.scored_groups.scored_group import PromptTurns, ScoredGroup, scored_group
from trainer.scored_groups.trl_rows import labelled_rows, preference_rows

PROMPT = [{"role": "user", "content": "2+2?"}]


def group(*scores: float | None, knows_prompt: bool = True) -> ScoredGroup:
    asked = ticket(0, samples=len(scores))
    book = GroupBook(awaits_tickets=False)
    for index, score in enumerate(scores):
        scored = verdict(rollout_of(asked, index, text=f"text {index}"), score)
        book.add_scored(scored, Record("scored", 0, index, 0.0, None, encode(scored)))
    turns = PromptTurns(asked.messages, asked.question, 1.0) if knows_prompt else None
    return scored_group(book.open[0], turns, closed(0, 0))


def said(index: int) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": f"text {index}"}]


def test_the_best_response_is_preferred_to_the_worst() -> None:
    rows = list(preference_rows([group(0.5, 1.0, 0.0, 1.0, None)]))
    assert rows == [{"prompt": PROMPT, "chosen": said(1), "rejected": said(2)}]


def test_a_group_without_a_preference_gives_no_row() -> None:
    assert list(preference_rows([group(0.5, 0.5), group(None, None), group(1.0, 0.0, knows_prompt=False)])) == []


def test_each_scored_response_has_a_label() -> None:
    rows = list(labelled_rows([group(0.5, 1.0, None), group(1.0, 0.0, knows_prompt=False)]))
    assert rows == [
        {"prompt": PROMPT, "completion": said(0), "label": False},
        {"prompt": PROMPT, "completion": said(1), "label": True},
    ]
    assert [row["label"] for row in labelled_rows([group(0.5, 1.0)], threshold=0.4)] == [True, True]
