"""Answers that fooled shipped verifiers, each with the verdict it must get."""

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from streams.messages import Question, Status
from workers.verifiers.math.verifier import MathVerifier

RIGHT = [
    ("7", r"so it is \boxed{7}"),
    ("-3", "\N{MINUS SIGN}3"),
    ("73", "**73**"),
    ("{1,2,3}", r"\boxed{\{3, 1, 2\}}"),
    ("1<x<2", "(1,2)"),
    ("120000", r"1.2\times 10^5"),
    ("x-1=0", "1-x=0"),
    ("7", "007"),
    ("18", "$18.00"),
    ("0.1", "10%"),
    ("10%", "0.1"),
    ("0.3", "0.30000000000000004"),
    ("7", r"\boxed{7}, that is \boxed{7.0}"),
    ("35", "35 cm"),
    ("35", r"\boxed{35\text{ cm}}"),
    ("42", "The answer is 42."),
    ("42", "She works 6 hours.\n#### 42"),
    ("6 * 7 = 42\n#### 42", "42"),
    ("1/2", r"\frac{1}{2}"),
    ("0.5", r"\boxed{\frac12}"),
    ("11", "7 + 4 = 11"),
    ("11", "Tom has 7 + 4 = 11 apples."),
    ("5", "x = 5"),
    ("1/3", "0.333333"),
    (r"\sqrt{2}", r"2^{1/2}"),
    ("1000", "1,000"),
    ("5000000", "5 million"),
    ("45", "45%"),
    ("1, 2", "x = 1 or x = 2"),
    ("7", "<think>maybe 8, or 9</think> The answer is $7$."),
    ("2*x+1", "1 + 2x"),
    ("B", "The answer is B"),
    ("pi", r"\boxed{\pi}"),
]
WRONG = [
    ("7", r"<think>\boxed{7}</think> I don't know"),
    ("7", r"<think>\boxed{7}"),
    ("101", r"\boxed{5 = 101}"),
    ("101", r"\boxed{5 = x = 101}"),
    ("7", r"\boxed{7} and finally \boxed{"),
    ("1/2^{98}", r"\boxed{1/2^{99}}"),
    ("100001", "100000"),
    ("pi", "3.14"),
    (r"\pi", r"\boxed{3.14}"),
    ("3.14", r"\boxed{\pi}"),
    (r"4\sqrt{2}", "4"),
    ("4", r"4\sqrt(2)"),
    ("(1,2)", "(2,1)"),
    ("(1,2,3)", "(3,2,1)"),
    ("7", "3 or 7"),
    ("7", "7 or 3"),
    ("20", ", ".join(map(str, range(21)))),
    ("20", "\n".join(map(str, range(21)))),
    ("7", r"\boxed{7} no, \boxed{8}"),
    ("7", r"The answer is 8. \boxed{7}"),
    ("7", "The answer is 7. No, the answer is 8."),
    ("7", "The answer is not 7."),
    ("7", "maybe 7"),
    ("7", ""),
    ("7", "   "),
    ("7", "."),
    ("7", r"\boxed{}"),
    ("B", "A or B or C"),
    ("5", "5 squared"),
    ("5", "5 million"),
    ("5", "5x"),
    ("35 cm", "35 km"),
    ("0.1", "0.1%"),
    ("7", "7 and 8"),
    ("7", "__import__('os').system('touch /tmp/owned')"),
    ("387420489", "9^{9^9}"),
    ("1", "(10^9)!"),
    ("1", r"\boxed{((3!)!)!}"),
    ("1", r"\boxed{(((9^{999})^{999})^{999})}"),
    ("1", "9" * 200_000),
    ("1", r"\boxed{" + "9" * 200_000 + "}"),
    ("1", "(" * 3000 + "1" + ")" * 3000),
    ("1", r"\boxed{" + "(" * 3000 + "1" + ")" * 3000 + "}"),
    ("1", r"\boxed{" * 3000 + "1" + "}" * 3000),
]


def verdict(gold: str | None, response: str, **options: object):
    return MathVerifier().verify(Question(prompt="?", ground_truth=gold, options=options), response)


@pytest.mark.parametrize(("gold", "response"), RIGHT)
def test_answers_that_equal_the_gold_are_right(gold: str, response: str) -> None:
    found = verdict(gold, response)
    assert (found.score, found.status) == (1.0, Status.CORRECT), found.why


@pytest.mark.parametrize(("gold", "response"), WRONG, ids=lambda text: text[:30])
def test_answers_that_differ_from_the_gold_are_wrong(gold: str, response: str) -> None:
    found = verdict(gold, response)
    assert found.score == 0.0, found.why
    assert found.status in {Status.WRONG, Status.UNPARSEABLE}


@pytest.mark.parametrize("gold", [None, "", "the mitochondria of the cell!!"])
def test_a_gold_that_is_no_mathematics_is_no_reward(gold: str | None) -> None:
    assert verdict(gold, "7").status is Status.INFRA_ERROR


@pytest.mark.parametrize(
    ("response", "score"),
    [("42", 1.0), (" 42\n", 1.0), ("42.0", 1.0), ("042", 1.0), ("43", 0.0), ("42.", 0.0), ("It is 42", 0.0), ("", 0.0)],
)
def test_whole_answer(response: str, score: float) -> None:
    assert verdict("42", response, whole_answer=True).score == score


@given(gold=st.integers(-(10**20), 10**20), other=st.integers(-(10**20), 10**20))
def test_integers_are_compared_exactly(gold: int, other: int) -> None:
    assert verdict(str(gold), f"The answer is {gold:,}.").score == 1.0
    assert verdict(str(gold), rf"\boxed{{{other}}}").score == float(gold == other)


@given(response=st.text(alphabet="0123456789+-*/^().,=\\{}$!% abox", max_size=60))
def test_any_response_gets_a_verdict(response: str) -> None:
    assert verdict("7", response).status is not Status.INFRA_ERROR


@settings(deadline=None)
@given(over=st.integers(1, 10**6), under=st.integers(1, 10**6))
def test_a_fraction_is_the_double_that_a_program_prints_and_no_rough_one(over: int, under: int) -> None:
    gold = rf"\frac{{{over}}}{{{under}}}"
    assert verdict(gold, rf"\boxed{{{over / under!r}}}").score == 1.0
    rough = repr(over / under * (1 + 1e-9))
    assume(len(rough) > 15)  # fewer digits may be the fraction, correctly rounded: 0.428571429 for 3/7
    assert verdict(gold, rf"\boxed{{{rough}}}").score == 0.0


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "tower",
    [
        *("9^{9^9}", "9^{9^{9^9}}", "(10^9)!", "((5!)!)!", "2^{10^{10}}", "e^{e^{e^{e^9}}}", "10^{10^{7}}", "3!!!"),
        *(r"\binom{10^9}{5}", r"\prod_{k=1}^{10^9} k", r"\sum_{k=1}^{99999999} k^k", r"\exp(\exp(\exp(99)))"),
        *("x^{x^{x^{x^{x}}}}", r"\sqrt[9^{9^9}]{2}", r"(1, 9^{9^9})", r"\operatorname{zeros}(9999, 9999)"),
    ],
)
def test_towers_are_bounded(tower: str) -> None:
    assert verdict("1", rf"\boxed{{{tower}}}").score == 0.0
