"""From a request to prompts, and from what is read after them to one judgement."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from infra.settings.genrm import GenRMSettings
from streams.messages import Question
from workers.judges.base import JudgeRequest
from workers.judges.endpoint import NonsenseError
from workers.judges.factory import judging_scheme
from workers.judges.judging_scheme import JudgingScheme, Voting
from workers.judges.prompt import JudgeTask, PromptForm
from workers.judges.rubrics import RubricError, load_rubrics
from workers.judges.verdicts import CORRECTNESS, YES_NO, VerdictProbabilities
from workers.judges.voting import read_votes

FACT = JudgeRequest(Question(prompt="Capital of France?", ground_truth="Paris", references=("Lyon",)), "paris", "geo")
PAIR = JudgeRequest(Question(prompt="Describe rivers.", references=("Rivers run.", "Wet.", "Long.")), "They flow.")
BOTH = JudgingScheme(PromptForm.RUBRIC, both_orders=True)
shares = st.floats(0.001, 0.5)


def read(*pairs: tuple[float, ...]) -> list[VerdictProbabilities]:
    return [VerdictProbabilities(YES_NO, pair) for pair in pairs]


def test_a_ground_truth_is_one_prompt_whatever_the_form() -> None:
    for scheme in (JudgingScheme(), JudgingScheme(both_orders=True, references=3), BOTH):
        [prompt] = scheme.prompts(FACT)
        assert (prompt.task, prompt.shown, prompt.response) == (JudgeTask.FACT, "Paris", "paris")


@pytest.mark.parametrize(("references", "used"), [(1, 1), (2, 2), (9, 3)])
def test_the_best_references_are_used(references: int, used: int) -> None:
    prompts = JudgingScheme(references=references).prompts(PAIR)
    assert [prompt.shown for prompt in prompts] == list(PAIR.question.references[:used])
    assert len(JudgingScheme(PromptForm.RUBRIC, both_orders=True, references=references).prompts(PAIR)) == 2 * used


def test_both_orders_ask_about_the_candidate_and_then_about_the_reference() -> None:
    first, second = BOTH.prompts(PAIR)
    assert (first.task, first.shown, first.response) == (JudgeTask.PAIR, "They flow.", "Rivers run.")
    assert (second.task, second.shown, second.response) == (JudgeTask.PAIR, "Rivers run.", "They flow.")
    short = JudgingScheme(both_orders=True).prompts(PAIR)
    assert [prompt.render().text for prompt in short] == [
        "Task: Describe rivers.\nReference: Rivers run.\nResponse: They flow.\nBetter?",
        "Task: Describe rivers.\nReference: They flow.\nResponse: Rivers run.\nBetter?",
    ]


def test_the_orders_are_averaged_and_flips_counted() -> None:
    scheme = JudgingScheme(PromptForm.RUBRIC, both_orders=True, references=2)
    found = scheme.judgement(scheme.prompts(PAIR), read((0.6, 0.2), (0.2, 0.6), (0.3, 0.1), (0.3, 0.1)))
    assert found.score == pytest.approx(((0.75 + 1 - 0.25) / 2 + (0.75 + 1 - 0.75) / 2) / 2)
    assert found.details["flips"] == 1
    assert found.details["orders"] == [pytest.approx([0.75, 0.25]), pytest.approx([0.75, 0.75])]
    assert found.off_verdict_mass == pytest.approx(0.6)


@given(first=st.tuples(shares, shares), second=st.tuples(shares, shares))
def test_what_the_candidate_wins_the_reference_loses(first: tuple[float, float], second: tuple[float, float]) -> None:
    own, other = (BOTH.judgement(BOTH.prompts(PAIR), read(*pair)) for pair in ((first, second), (second, first)))
    assert own.score + other.score == pytest.approx(1.0)
    assert 0.0 <= own.score <= 1.0
    assert own.details["flips"] == other.details["flips"]


@given(place=shares, masses=st.tuples(shares, shares))
def test_a_judge_that_looks_at_the_place_only_has_no_preference(place: float, masses: tuple[float, float]) -> None:
    assert BOTH.judgement(BOTH.prompts(PAIR), read(masses, masses)).score == pytest.approx(0.5)


def test_the_third_verdict_earns_nothing_and_is_told() -> None:
    scheme = JudgingScheme(PromptForm.RUBRIC, verdicts=3)
    found = scheme.judgement(scheme.prompts(FACT), [VerdictProbabilities(CORRECTNESS, (0.3, 0.1, 0.2))])
    assert found.score == pytest.approx(0.5)
    assert found.details["invalid"] == pytest.approx(1 / 3)
    assert found.off_verdict_mass == pytest.approx(0.4)
    assert "P(INVALID) 0.2000" in found.why


@pytest.mark.parametrize("masses", [(0.0, 0.0), (0.9, 0.9), (float("nan"), 0.1), (float("inf"), 0.1)])
def test_what_is_no_share_of_a_distribution_is_not_usable(masses: tuple[float, float]) -> None:
    assert not VerdictProbabilities(YES_NO, masses).usable


def test_the_rubric_is_the_domains() -> None:
    scheme = JudgingScheme(PromptForm.RUBRIC, rubrics={"geo": "Names count."})
    assert "Names count." in scheme.prompts(FACT)[0].render().prefix
    assert "What counts here" not in scheme.prompts(PAIR)[0].render().prefix


def test_whatever_changes_a_score_changes_the_version() -> None:
    voting = Voting(3, 0.7, 512)
    forms = [
        JudgingScheme(),
        JudgingScheme(both_orders=True),
        JudgingScheme(references=2),
        JudgingScheme(PromptForm.RUBRIC),
        BOTH,
        JudgingScheme(PromptForm.RUBRIC, verdicts=3),
        JudgingScheme(PromptForm.RUBRIC, voting=voting),
        JudgingScheme(PromptForm.RUBRIC, voting=Voting(3, 0.9, 512)),
        JudgingScheme(PromptForm.RUBRIC, rubrics={"a": "b"}),
        JudgingScheme(PromptForm.RUBRIC, rubrics={"a": "c"}),
        JudgingScheme(PromptForm.RUBRIC, characters=999),
    ]
    assert len({scheme.tag for scheme in forms}) == len(forms)
    assert JudgingScheme().tag == "p1-short"


@pytest.mark.parametrize(
    ("samples", "masses"),
    [
        (["Verdict: YES", "Verdict: NO"], (0.5, 0.5)),
        (["The response says\nVerdict: YES\nbut errs.\nVerdict: NO"], (0.0, 1.0)),
        (["**Verdict:** yes.", "verdict - Yes", "Verdict: maybe", ""], (0.5, 0.0)),
        (["Verdict: YES and also NO", "I say\n> Verdict: NO"], (0.0, 0.5)),
    ],
)
def test_the_last_verdict_line_of_a_sample_is_its_vote(samples: list[str], masses: tuple[float, float]) -> None:
    assert read_votes(samples, YES_NO).masses == masses


@pytest.mark.parametrize("samples", [["YES"], ["Verdict: INVALID"], ["My verdict: YES it is"]])
def test_samples_without_any_vote_are_a_failure(samples: list[str]) -> None:
    with pytest.raises(NonsenseError, match="none of 1 samples"):
        read_votes(samples, YES_NO)


def test_rubrics_come_from_files_too(tmp_path: Path) -> None:
    (tmp_path / "code.md").write_text("Runs.\n")
    (tmp_path / "law.txt").write_text("Cites.")
    (tmp_path / "notes.pdf").write_bytes(b"\xff")
    assert load_rubrics({"law": "Cites well."}, tmp_path) == {"code": "Runs.", "law": "Cites well."}
    table = tmp_path / "rubrics.toml"
    table.write_text('writing = """\nRhymes.\n"""\n')
    assert load_rubrics({}, table) == {"writing": "Rhymes."}
    assert load_rubrics({}, None) == {}


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("broken.toml", "writing = ", "broken.toml"),
        ("empty.toml", "", "holds no rubric"),
        ("nested.toml", "[writing]\na = 1", "writing is not a text"),
        ("blank.toml", 'writing = " "', "the rubric of writing is empty"),
        (None, "", "absent.toml"),
    ],
)
def test_what_is_no_rubric_is_named(tmp_path: Path, name: str | None, text: str, why: str) -> None:
    path = tmp_path / (name or "absent.toml")
    if name:
        path.write_text(text)
    with pytest.raises(RubricError, match=why):
        load_rubrics({}, path)


def test_the_settings_choose_the_form() -> None:
    assert judging_scheme(GenRMSettings()) == JudgingScheme()
    remote = {"backend": "openai", "endpoint": "http://localhost/v1"}
    assert judging_scheme(GenRMSettings(**remote)) == BOTH
    assert not judging_scheme(GenRMSettings(**remote, orders="one")).both_orders
    assert judging_scheme(GenRMSettings(orders="both")).both_orders
    assert judging_scheme(GenRMSettings(**remote, votes=3)).voting == Voting(3, 0.7, 1024)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"backend": "openai"}, "needs genrm.endpoint"),
        ({"backend": "openai", "endpoint": "localhost:8000/v1"}, "must begin with http"),
        ({"verdicts": 3}, "genrm.verdicts = 3 needs genrm.prompt = 'rubric'"),
        ({"rubrics": {"a": "b"}}, "genrm.rubrics needs genrm.prompt = 'rubric'"),
        ({"rubrics_path": "x"}, "genrm.rubrics_path needs"),
        ({"votes": 3, "prompt": "rubric"}, "genrm.votes needs genrm.backend = 'openai'"),
        (
            {"votes": 3, "prompt": "short", "backend": "openai", "endpoint": "http://x/v1"},
            "genrm.votes needs genrm.prompt",
        ),
        ({"verdicts": 4}, "verdicts"),
        ({"vote_temperature": 0}, "vote_temperature"),
    ],
)
def test_judge_settings_that_cannot_work_do_not_load(settings: dict[str, object], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        GenRMSettings(**settings)
