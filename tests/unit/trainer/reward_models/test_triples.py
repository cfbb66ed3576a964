"""Triples from files, and pairs in both orders."""

import json
from pathlib import Path

import pytest

from streams.messages import Question
from trainer.prompts.dataset_errors import RowError
from trainer.reward_models.preferences import PreferencePair
from trainer.reward_models.triples import by_question, of_pair, parse_triple, read_triples, swapped

TRUTH = {"question": "Capital of France?", "ground_truth": "Paris", "response": "Paris.", "label": True}
COMPARED = {"prompt": "Write a line.", "reference": "A line.", "candidate": "No.", "label": 0.25, "domain": "writing"}
ASKED = {"role": "user", "content": "Why?"}


def test_a_triple_is_read_from_its_columns() -> None:
    one = parse_triple(TRUTH)
    assert one.question == Question(prompt="Capital of France?", ground_truth="Paris")
    assert (one.response, one.label, one.domain) == ("Paris.", 1.0, "")
    other = parse_triple(COMPARED)
    assert other.question == Question(prompt="Write a line.", references=("A line.",))
    assert (other.response, other.label, other.domain) == ("No.", 0.25, "writing")


@pytest.mark.parametrize(("label", "value"), [("yes", 1.0), ("No", 0.0), (False, 0.0), (1, 1.0), (0.5, 0.5)])
def test_labels_are_words_or_probabilities(label: object, value: float) -> None:
    assert parse_triple(TRUTH | {"label": label}).label == value


def test_a_judge_is_shown_the_last_turn_and_a_reward_model_all_of_them() -> None:
    turns = [ASKED, {"role": "assistant", "content": "Because."}, {"role": "user", "content": "And then?"}]
    one = parse_triple({"messages": turns, "reference": "x", "response": "y", "label": 1})
    assert one.question.prompt == "And then?"
    assert one.messages == tuple(turns)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"label": "maybe"}, "label must be"),
        ({"label": 2}, "label must be"),
        ({"label": None}, "label must be"),
        ({"response": None}, "no candidate"),
        ({"ground_truth": None}, "nothing to compare with"),
        ({"ground_truth": ["Paris"]}, "wrong type"),
        ({"question": ""}, "no prompt"),
    ],
)
def test_what_is_no_triple_says_why(change: dict[str, object], reason: str) -> None:
    with pytest.raises(RowError, match=reason):
        parse_triple(TRUTH | change)


def test_a_pair_is_two_triples_and_each_is_the_other_order_of_the_other() -> None:
    better, worse = of_pair(PreferencePair((ASKED,), "Because.", "No.", "why"))
    assert (better.question.references, better.response, better.label) == (("No.",), "Because.", 1.0)
    assert (worse.question.references, worse.response, worse.label) == (("Because.",), "No.", 0.0)
    assert swapped(better) == worse
    assert swapped(worse) == better


def test_a_ground_truth_has_no_other_order() -> None:
    assert swapped(parse_triple(TRUTH)) is None


def test_candidates_of_one_question_are_one_group() -> None:
    rows = [TRUTH, COMPARED, TRUTH | {"response": "London", "label": 0}, COMPARED | {"reference": "Another."}]
    groups = by_question([parse_triple(row) for row in rows])
    assert [[one.response for one in group.triples] for group in groups] == [["Paris.", "London"], ["No."], ["No."]]
    assert [group.domain for group in groups] == ["", "writing", "writing"]


def test_triples_and_pairs_may_share_a_file(tmp_path: Path) -> None:
    rows = [TRUTH, {"prompt": "Why?", "chosen": "Because.", "rejected": "No."}, TRUTH | {"label": "?"}]
    path = tmp_path / "data.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    found = read_triples([path])
    assert [one.label for one in found.candidates] == [1.0, 1.0, 0.0]
    assert [one.line for one in found.rejected] == [3]
