"""Every instruction checker says yes to a response that follows and no to one that does not."""

import pytest
from support.verifiers.instruction_cases import IFBENCH, IFEVAL, OWN

from streams.messages import Question, Status
from workers.verifiers.base import Verdict
from workers.verifiers.instructions.benchmarks import REGISTRY
from workers.verifiers.instructions.checkers import CHECKERS
from workers.verifiers.instructions.verifier import InstructionVerifier

CASES = [*IFEVAL, *IFBENCH, *OWN]
COLUMNS = sorted({key for _, kwargs, _, _ in CASES for key in kwargs})


def follow(response: str, instruction: str, kwargs: dict[str, object]) -> Verdict:
    options = {"instruction_id_list": [instruction], "kwargs": [kwargs]}
    return InstructionVerifier().verify(Question(prompt="Write about rain.", options=options), response)


def as_data_sets_write(kwargs: dict[str, object]) -> dict[str, object]:
    """Every column of every instruction, None where it does not apply, and whole numbers as floats."""
    return dict.fromkeys(COLUMNS) | {key: float(v) if isinstance(v, int) else v for key, v in kwargs.items()}


def test_every_checker_has_a_case() -> None:
    assert {instruction for instruction, _, _, _ in CASES} == REGISTRY.keys() | CHECKERS.keys()
    assert len(REGISTRY) == 25 + 58


@pytest.mark.parametrize(("instruction", "kwargs", "good", "bad"), CASES, ids=[case[0] for case in CASES])
def test_a_response_follows_an_instruction_or_does_not(
    instruction: str, kwargs: dict[str, object], good: str, bad: str
) -> None:
    verdicts = [follow(text, instruction, as_data_sets_write(kwargs)) for text in (good, bad)]
    assert [verdict.score for verdict in verdicts] == [1.0, 0.0], [verdict.why for verdict in verdicts]


@pytest.mark.parametrize(("instruction", "kwargs", "good", "bad"), CASES, ids=[case[0] for case in CASES])
@pytest.mark.parametrize(
    "response", ["a\x00b", "[" * 5000 + "a", '"' * 99 + "a", "a,\n\t\r\n,b", "a" * 20_000, "ˇ a ☔"]
)
def test_no_response_is_the_checkers_defect(
    instruction: str, kwargs: dict[str, object], good: str, bad: str, response: str
) -> None:
    verdict = follow(response, instruction, kwargs)
    assert verdict.status is not Status.INFRA_ERROR, verdict.why


@pytest.mark.parametrize("kwargs", ["{}", [["N", 2]], [None]])
def test_kwargs_of_another_shape_are_no_reward(kwargs: object) -> None:
    options = {"instruction_id_list": ["count:numbers"], "kwargs": kwargs}
    verdict = InstructionVerifier().verify(Question(prompt="?", options=options), "12 and 14")
    assert (verdict.score, verdict.status) == (None, Status.INFRA_ERROR)


def test_a_keyword_that_is_no_pattern_is_no_reward() -> None:
    assert follow("C++ it is", "keywords:existence", {"keywords": ["C++("]}).status is Status.INFRA_ERROR


# What the benchmarks' checkers need of English


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("Dr. Smith drinks tea at 5 p.m. every day.", 1),
        ("It costs $3.50 a cup. He said: Go! Why? No.", 4),
        ("Mr. and Mrs. Jones live in the U.S. since Jan. 5. They like it.", 2),
        ("one two three", 1),
        ("A list, e.g. this one. Fin...", 2),
    ],
)
def test_sentences_are_punkts(text: str, count: int) -> None:
    name = "length_constraints:number_sentences"
    assert follow(text, name, {"relation": "at least", "num_sentences": count}).score == 1.0
    assert follow(text, name, {"relation": "less than", "num_sentences": count}).score == 0.0


def test_no_data_is_looked_up_on_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    import nltk

    monkeypatch.setattr(nltk.data, "path", [])
    for instruction, kwargs, good, bad in CASES:
        assert [follow(text, instruction, kwargs).score for text in (good, bad)] == [1.0, 0.0], instruction


@pytest.mark.parametrize(
    "text", ["Brew the tea.", "Discover it.", "Go home now.", "is it?", "Running helps.", "Picture a day"]
)
def test_a_verb_first(text: str) -> None:
    assert follow(text, "words:start_verb", {}).score == 1.0


@pytest.mark.parametrize(
    "text", ["The tea is hot.", "Tea the.", "I drink it.", "Yes, go.", "Rain falls.", "'Go' is one", "5 go"]
)
def test_no_verb_first(text: str) -> None:
    assert follow(text, "words:start_verb", {}).score == 0.0


@pytest.mark.parametrize("letter", ["!", "#", "é", "3", "-", "ß", "O", " ! "])
def test_any_character_is_a_letter_to_count(letter: str) -> None:
    sign = letter.strip()
    kwargs = {"letter": letter, "let_frequency": 3, "let_relation": "at least"}
    assert follow(f"Tea{sign * 3} so", "keywords:letter_frequency", kwargs).score == 1.0
    assert follow(f"Tea{sign} a", "keywords:letter_frequency", kwargs).score == 0.0
    assert follow(f"Tea{sign} a", "keywords:letter_frequency", kwargs | {"let_relation": "less than"}).score == 1.0


@pytest.mark.parametrize("letter", ["ab", "", "  "])
def test_what_is_no_single_character_is_refused_by_its_name(letter: str) -> None:
    found = follow("x", "keywords:letter_frequency", {"letter": letter, "let_frequency": 3, "let_relation": "at least"})
    assert (found.score, found.status) == (None, Status.INFRA_ERROR)
    assert "refuses kwargs: letter" in found.why


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("Tea\n Brew\n  Pour", 1.0),
        ("Tea\n\n\n Brew it\n\n  Pour it", 1.0),
        ("Tea\n\n\n\n\n Brew it\n  \n \n  Pour it\n\n", 1.0),
        ("  Tea\n    Brew", 1.0),
        ("Tea\nBrew", 0.0),
        ("Tea\n Brew\n Pour", 0.0),
        ("Tea\n\n Brew\n\n\nPour", 0.0),
        ("Tea", 0.0),
    ],
)
def test_stairs(text: str, score: float) -> None:
    assert follow(text, "format:line_indent", {}).score == score


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("Good tea warms; hot tea sings.", 1.0),
        ("Good tea warms you, nothing beats hot tea.", 0.0),
        ("Good, tea (hot) - the tea : sings!!!", 1.0),
        ("Tea", 0.0),
    ],
)
def test_punctuation_is_no_word_from_either_end(text: str, score: float) -> None:
    assert follow(text, "words:words_position", {"keyword": "tea"}).score == score


@pytest.mark.parametrize(
    ("text", "place", "score"),
    [
        ("Alpha, beta target gamma. Next one.", (1, 3), 1.0),
        ('"Alpha" - target.', (1, 2), 1.0),
        ("Ask Dr. Who. One target, p.m.", (2, 2), 1.0),
        ("Alpha, target.", (1, 3), 0.0),
        ("Alpha target.", (2, 1), 0.0),
        ("Alpha target.", (1, 9), 0.0),
    ],
)
def test_punctuation_is_no_word_of_a_sentence(text: str, place: tuple[int, int], score: float) -> None:
    kwargs = {"keyword": "target", "n": place[0], "m": place[1]}
    assert follow(text, "words:keywords_specific_position", kwargs).score == score
