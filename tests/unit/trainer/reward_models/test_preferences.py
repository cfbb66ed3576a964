"""Preference pairs in the forms of TRL and of the hub's datasets, and rows that are none."""

import json
from pathlib import Path

import pytest

from trainer.prompts.dataset_errors import DatasetError, RowError
from trainer.reward_models.preferences import PreferencePair, by_prompt, parse_pair, read_preferences

ASKED = {"role": "user", "content": "Why?"}
GOOD = {"role": "assistant", "content": "Because."}
BAD = {"role": "assistant", "content": "No."}
PAIR = PreferencePair((ASKED,), "Because.", "No.")


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "Why?", "chosen": "Because.", "rejected": "No."},
        {"question": "Why?", "chosen": "Because.", "rejected": "No."},
        {"prompt": [ASKED], "chosen": [GOOD], "rejected": [BAD]},
        {"prompt": "Why?", "chosen": [GOOD], "rejected": BAD},
        {"prompt": "Why?", "chosen": [ASKED, GOOD], "rejected": [ASKED, BAD]},  # ultrafeedback_binarized
        {"chosen": [ASKED, GOOD], "rejected": [ASKED, BAD]},
        {
            "chosen": "\n\nHuman: Why?\n\nAssistant: Because.",
            "rejected": "\n\nHuman: Why?\n\nAssistant: No.",
        },  # hh-rlhf
        {"chosen": [ASKED | {"weight": 1}, GOOD], "rejected": [ASKED, BAD], "score_chosen": 3},
    ],
)
def test_every_form_of_one_pair_is_the_same_pair(row: dict[str, object]) -> None:
    assert parse_pair(row) == PAIR


def test_turns_before_the_last_are_the_prompt() -> None:
    turns = [ASKED, GOOD, {"role": "user", "content": "And then?"}]
    pair = parse_pair({"chosen": [*turns, GOOD], "rejected": [*turns, BAD]})
    assert pair.messages == tuple(turns)
    text = "\n\nHuman: Why?\n\nAssistant: Because.\n\nHuman: And then?\n\nAssistant:"
    assert parse_pair({"chosen": f"{text} Because.", "rejected": f"{text} No."}) == pair


def test_a_system_turn_comes_first() -> None:
    system = {"role": "system", "content": "Be brief."}
    rows = [
        {"system": "Be brief.", "question": "Why?", "chosen": "Because.", "rejected": "No."},
        {"prompt": [system, ASKED], "chosen": [GOOD], "rejected": [BAD]},
        {"chosen": [system, ASKED, GOOD], "rejected": [system, ASKED, BAD]},
        {"prompt": [system, ASKED], "chosen": [ASKED, GOOD], "rejected": [ASKED, BAD]},
    ]
    assert [parse_pair(row).messages for row in rows] == [(system, ASKED)] * 4


@pytest.mark.parametrize("column", ["domain", "subset", "source"])
def test_the_domain_is_read_from_the_usual_columns(column: str) -> None:
    row = {"prompt": "Why?", "chosen": "Because.", "rejected": "No.", column: "why"}
    assert parse_pair(row).domain == "why"


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ([1], "an object with columns"),
        ({"prompt": "Why?"}, "chosen must be a text, or a list of turns"),
        ({"prompt": "Why?", "chosen": "a", "rejected": 3}, "rejected must be a text"),
        ({"prompt": "Why?", "chosen": "a", "rejected": "a"}, "are the same"),
        ({"prompt": "Why?", "chosen": " ", "rejected": "a"}, "chosen response is empty"),
        ({"chosen": "Because.", "rejected": "No."}, "the row has no prompt"),
        ({"chosen": [ASKED, GOOD], "rejected": [{"role": "user", "content": "Who?"}, BAD]}, "different prompts"),
        ({"chosen": [ASKED], "rejected": [BAD]}, "last turn of chosen must be the assistant's"),
        ({"prompt": "Who?", "chosen": [ASKED, GOOD], "rejected": [ASKED, BAD]}, "does not begin with the row's prompt"),
        ({"prompt": [GOOD], "chosen": "a", "rejected": "b"}, "last turn must be the user's"),
        ({"prompt": "Why?", "chosen": [{"role": "assistant"}], "rejected": "b"}, "role and content"),
    ],
)
def test_what_is_no_pair_says_why(row: object, reason: str) -> None:
    with pytest.raises(RowError, match=reason):
        parse_pair(row)


def test_bad_rows_are_set_aside_with_their_line(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    good = json.dumps({"prompt": "Why?", "chosen": "Because.", "rejected": "No."})
    path.write_text("\n".join([good, "{", json.dumps({"prompt": "Why?", "chosen": "a", "rejected": "a"}), good]))
    found = read_preferences([path])
    assert found.pairs == [PAIR, PAIR]
    assert [(one.line, one.reason[:8]) for one in found.rejected] == [(2, "not JSON"), (3, "the two ")]
    with pytest.raises(DatasetError, match="no dataset at"):
        read_preferences([tmp_path / "gone.jsonl"])


def test_pairs_of_one_prompt_share_their_responses() -> None:
    def pair(prompt: str, chosen: str, rejected: str) -> PreferencePair:
        return PreferencePair(({"role": "user", "content": prompt},), chosen, rejected)

    found = by_prompt([pair("a", "x", "y"), pair("b", "x", "y"), pair("a", "y", "z"), pair("a", "x", "y")])
    assert [(one.responses, one.comparisons) for one in found] == [
        (("x", "y", "z"), ((0, 1), (1, 2))),
        (("x", "y"), ((0, 1),)),
    ]
