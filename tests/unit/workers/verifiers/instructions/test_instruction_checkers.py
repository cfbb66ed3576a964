"""Every instruction checker says yes to a response that follows and no to one that does not."""

import nltk
import pytest
from support.verifiers.instruction_cases import IFBENCH, IFEVAL, NEED_DATA, OWN

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


def data_is_missing(instruction: str) -> bool:
    if instruction not in NEED_DATA:
        return False
    try:
        nltk.data.find(NEED_DATA[instruction])
    except LookupError:
        return True
    return False


def test_every_checker_has_a_case() -> None:
    assert {instruction for instruction, _, _, _ in CASES} == REGISTRY.keys() | CHECKERS.keys()
    assert len(REGISTRY) == 25 + 58


@pytest.mark.parametrize(("instruction", "kwargs", "good", "bad"), CASES, ids=[case[0] for case in CASES])
def test_a_response_follows_an_instruction_or_does_not(
    instruction: str, kwargs: dict[str, object], good: str, bad: str
) -> None:
    verdicts = [follow(text, instruction, as_data_sets_write(kwargs)) for text in (good, bad)]
    if data_is_missing(instruction):
        assert [verdict.status for verdict in verdicts] == [Status.INFRA_ERROR] * 2
        assert all("nltk.downloader" in verdict.why for verdict in verdicts)
    else:
        assert [verdict.score for verdict in verdicts] == [1.0, 0.0], [verdict.why for verdict in verdicts]


@pytest.mark.parametrize(("instruction", "kwargs", "good", "bad"), CASES, ids=[case[0] for case in CASES])
@pytest.mark.parametrize(
    "response", ["a\x00b", "[" * 5000 + "a", '"' * 99 + "a", "a,\n\t\r\n,b", "a" * 20_000, "ˇ a ☔"]
)
def test_no_response_is_the_checkers_defect(
    instruction: str, kwargs: dict[str, object], good: str, bad: str, response: str
) -> None:
    verdict = follow(response, instruction, kwargs)
    assert verdict.status is not Status.INFRA_ERROR or data_is_missing(instruction), verdict.why


@pytest.mark.parametrize("kwargs", ["{}", [["N", 2]], [None]])
def test_kwargs_of_another_shape_are_no_reward(kwargs: object) -> None:
    options = {"instruction_id_list": ["count:numbers"], "kwargs": kwargs}
    verdict = InstructionVerifier().verify(Question(prompt="?", options=options), "12 and 14")
    assert (verdict.score, verdict.status) == (None, Status.INFRA_ERROR)


def test_a_keyword_that_is_no_pattern_is_no_reward() -> None:
    assert follow("C++ it is", "keywords:existence", {"keywords": ["C++("]}).status is Status.INFRA_ERROR
