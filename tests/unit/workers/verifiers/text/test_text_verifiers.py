"""Exact answers, instructions, vetoes and the sentence rubric."""

import time

import pytest

from streams.messages import Question, Status
from workers.verifiers.base import Verdict
from workers.verifiers.instructions.verifier import InstructionVerifier
from workers.verifiers.registry import load_verifier
from workers.verifiers.text.exact import ExactVerifier
from workers.verifiers.text.sentence import SentenceVerifier


def exact(gold: str | None, response: str, **options: object) -> Verdict:
    return ExactVerifier().verify(Question(prompt="?", ground_truth=gold, options=options), response)


def follow(response: str, *ids: str, prompt: str = "Write about it.", **options: object) -> Verdict:
    options = {"instruction_id_list": list(ids), **options}
    return InstructionVerifier().verify(Question(prompt=prompt, options=options), response)


@pytest.mark.parametrize(
    ("response", "score"),
    [
        ("Paris", 1.0),
        (" paris. ", 1.0),
        ('"Paris."', 1.0),
        ("<think>London?</think>Paris", 1.0),
        ("Paris Paris", 0.0),
        ("It is Paris", 0.0),
        ("Paris...", 0.0),
        ("London", 0.0),
        ("", 0.0),
    ],
)
def test_exact_forgives_form_and_nothing_else(response: str, score: float) -> None:
    assert exact("Paris", response).score == score


def test_exact_options() -> None:
    assert exact("the Nile", "Nile").score == 0.0
    assert exact("the Nile", "Nile", ignore_articles=True).score == 1.0
    assert exact("big", "large", accept=["large", "huge"]).score == 1.0
    assert exact("Paris", "Paris.", keep_punctuation=True).score == 0.0
    assert exact(None, "Paris").status is Status.INFRA_ERROR


@pytest.mark.parametrize(
    ("response", "instruction", "arguments", "score"),
    [
        ("the moon pulls the tides.", "rewardstream:lowercase", {}, 1.0),
        ("The moon pulls the tides.", "rewardstream:lowercase", {}, 0.0),
        ('"The moon is bright."', "startend:quotation", {}, 1.0),
        ("The moon is bright.", "startend:quotation", {}, 0.0),
        ("The moon is bright. That is all.", "startend:end_checker", {"end_phrase": "That is all."}, 1.0),
        ("The moon is bright.", "startend:end_checker", {"end_phrase": "That is all."}, 0.0),
        ("The moon is bright!", "rewardstream:ends_with", {"text": "!"}, 1.0),
        ("!", "rewardstream:ends_with", {"text": "!"}, 0.0),
        ("Honestly, it is bright.", "rewardstream:starts_with", {"text": "Honestly"}, 1.0),
        ("Honestlyness is bright.", "rewardstream:starts_with", {"text": "Honestly"}, 0.0),
        ("Why is the moon bright?", "rewardstream:one_question", {}, 1.0),
        ("Why? Is the moon bright?", "rewardstream:one_question", {}, 0.0),
        ("The moon is bright.", "rewardstream:one_question", {}, 0.0),
        ("It costs 3.50 in all.", "rewardstream:one_sentence", {}, 1.0),
        ("Cold pale stone up there", "rewardstream:word_count", {"exactly": 5}, 1.0),
        ("Cold pale stone up", "rewardstream:word_count", {"exactly": 5}, 0.0),
        ("No commas here", "punctuation:no_comma", {}, 1.0),
        ("Commas, here", "punctuation:no_comma", {}, 0.0),
        ("12 and 14", "count:numbers", {"N": 2}, 1.0),
    ],
)
def test_one_instruction_is_followed_or_not(
    response: str, instruction: str, arguments: dict[str, object], score: float
) -> None:
    found = follow(response, instruction, kwargs=[arguments])
    assert found.score == score, found.why


def test_all_instructions_must_be_followed() -> None:
    ids = ("punctuation:no_comma", "startend:quotation")
    assert follow('"no commas here"', *ids).score == 1.0
    found = follow('"commas, here"', *ids)
    assert (found.score, found.why) == (0.0, "not followed: punctuation:no_comma")


@pytest.mark.parametrize("response", ["", "   ", "!!!", "<think>lower</think>"])
def test_a_text_without_a_word_follows_nothing(response: str) -> None:
    assert follow(response, "punctuation:no_comma").score == 0.0


@pytest.mark.parametrize(
    ("ids", "kwargs", "why"),
    [
        ([], None, "instruction_id_list"),
        (["no:such"], None, "unknown instructions: no:such"),
        (["startend:end_checker"], [{}], "needs kwargs: end_phrase"),
        (["startend:end_checker"], [{"phrase": "x"}], "startend:end_checker with kwargs"),
        (["rewardstream:word_count"], [{}], "exactly, at_least or at_most"),
        (["punctuation:no_comma"], [{}, {}], "1 ids, 2 kwargs"),
    ],
)
def test_wrong_options_are_no_reward(ids: list[str], kwargs: list[object] | None, why: str) -> None:
    found = follow("some words", *ids, kwargs=kwargs)
    assert (found.score, found.status) == (None, Status.INFRA_ERROR)
    assert why in found.why


def test_language_detection_is_the_same_every_time() -> None:
    text = "the cat sat on a red mat"
    assert len({follow(text, "change_case:english_lowercase").score for _ in range(6)}) == 1


@pytest.mark.parametrize(
    ("response", "options", "score"),
    [
        ("write one short sentence about dragons.", {"forbid_echo": True}, 0.0),
        ("dragons sleep under mountains.", {"forbid_echo": True}, 1.0),
        ("dragons sleep. use only lowercase", {"forbid_echo": True, "allow_phrases": ["use only lowercase"]}, 1.0),
        ("write one short poem", {}, 1.0),
        ("ok", {"min_words": 3}, 0.0),
        ("a b c a b c", {"forbid_repeats": True}, 0.0),
        ("no no no no", {"forbid_repeats": True}, 0.0),
    ],
)
def test_which_responses_options_veto(response: str, options: dict[str, object], score: float) -> None:
    prompt = "Write one short sentence about dragons. Use only lowercase letters."
    assert follow(response, "rewardstream:lowercase", prompt=prompt, **options).score == score


def rubric(response: str) -> Verdict:
    question = Question(prompt="Describe the sea in one vivid sentence.", options={"topic": "the sea"})
    return SentenceVerifier().verify(question, response)


def test_a_good_sentence_has_all_points() -> None:
    found = rubric("The sea throws silver light at the cliffs while tired gulls circle home.")
    assert (found.score, found.status) == (1.0, Status.JUDGED), found.why


@pytest.mark.parametrize(
    ("response", "missed"),
    [
        ("The lake throws silver light at the cliffs while tired gulls circle home.", "on topic"),
        ("The sea throws silver light at the cliffs while tired gulls circle", "one finished sentence"),
        ("The sea glitters because tired gulls circle home.", "length"),
        ("The sea throws silver light at silver cliffs while tired gulls circle home.", "no repeats"),
        ("Sure, the sea throws silver light at the cliffs while tired gulls circle.", "no meta talk"),
        ("the sea throws silver light at the cliffs while tired gulls circle home.", "capital first"),
        ("The sea is so big that it is up to all of us to see it.", "content words"),
        ("The sea throws silver light at the cliffs, with tired gulls circling home.", "connective"),
    ],
)
def test_each_point_can_be_missed(response: str, missed: str) -> None:
    found = rubric(response)
    assert found.score is not None
    assert found.score < 1.0
    assert missed in found.why


@pytest.mark.parametrize("response", ["", ".", ":", "<think>The sea.</think>"])
def test_no_content_no_points(response: str) -> None:
    assert rubric(response).score == 0.0


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("sentence", {"topic": ["tea"]}),
        ("sentence", {"topic": 3}),
        ("instructions", {"min_words": "three"}),
        ("instructions", {"min_words": True}),
        ("instructions", {"forbid_echo": "yes"}),
        ("instructions", {"forbid_repeats": 1}),
        ("instructions", {"allow_phrases": "a phrase"}),
        ("json", {"schema": True, "extra_text": "no"}),
        ("regex", {"pattern": "a", "no_such_option": 1}),
    ],
)
def test_options_of_a_wrong_kind_are_refused_by_name(name: str, options: dict[str, object]) -> None:
    given = {"instruction_id_list": ["punctuation:no_comma"]} if name == "instructions" else {}
    found = load_verifier(name).verify(Question(prompt="?", verifier=name, options=given | options), "Some words")
    assert (found.score, found.status) == (None, Status.INFRA_ERROR)
    assert list(options)[-1] in found.why


@pytest.mark.parametrize("text", ["a" * 2**20, "a " * 2**19, "Dr. Smith! " * 95_000, "[" * 2**20, '{"a":' * 200_000])
def test_a_mebibyte_of_instructions_is_judged_in_time(text: str) -> None:
    names = ["length_constraints:number_sentences", "words:words_position", "ratio:stop_words"]
    kwargs = [{"relation": "at least", "num_sentences": 3}, {"keyword": "tea"}, {"percentage": 50}]
    options = {"instruction_id_list": names, "kwargs": kwargs}
    started = time.process_time()
    found = load_verifier("instructions").verify(Question(prompt="?", options=options), text)
    assert (found.score, found.status) == (0.0, Status.UNPARSEABLE)
    assert time.process_time() - started < 20  # a quadratic search takes minutes
