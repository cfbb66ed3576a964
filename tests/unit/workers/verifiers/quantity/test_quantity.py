"""Numbers with units: the response's quantity against the reference's."""

from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.verifiers.quantities_right import RIGHT
from support.verifiers.quantities_wrong import WRONG

from streams.messages import Question, Status
from workers.verifiers.quantity import grammar
from workers.verifiers.quantity.verifier import QuantityVerifier


def judge(gold, response, **options):
    return QuantityVerifier().verify(Question(prompt="?", ground_truth=gold, options=options), response)


@pytest.mark.parametrize(("gold", "response"), chain(*RIGHT.values()))
def test_the_same_quantity_is_right(gold, response):
    found = judge(gold, response)
    assert (found.score, found.status) == (1.0, Status.CORRECT), found.why


@pytest.mark.parametrize(("gold", "response"), chain(*WRONG.values()))
def test_any_other_quantity_is_wrong(gold, response):
    found = judge(gold, response)
    assert found.score == 0.0, (response[:80], found.why)
    assert found.status in {Status.WRONG, Status.UNPARSEABLE}


@pytest.mark.parametrize(
    ("gold", "response", "score"),
    [
        ("4 s", "\\boxed{4} seconds", 1.0),
        ("4 s", "$\\boxed{4}\\text{ s}$", 1.0),
        ("4 s", "\\boxed{4} metres", 0.0),
        ("4 s", "\\boxed{4}", 0.0),
        ("4 s", "\\boxed{4} is the number of seconds", 0.0),
        ("5 m/s", "Using v = d/t, we have v = 10/2 = 5 m/s", 1.0),
        ("5 m/s", "v = 10/3 = 5 m/s", 0.0),
        ("20 N", "The force is F = ma = (10 kg)(2 m/s^2) = 20 N.", 1.0),
        ("2.5 A", "The current is 2.5 A (rounded).", 1.0),
        ("2.5 A", "2.5 amps", 1.0),
        ("12 m^2", "12 sq. meters", 1.0),
    ],
)
def test_the_answer_is_found_after_working_and_in_boxes(gold, response, score):
    found = judge(gold, response)
    assert found.score == score, found.why


def test_a_sum_without_end_is_refused_by_the_number_of_its_terms():
    found = judge("5 m", "1+" * 14_250 + "1")
    assert (found.score, found.status) == (0.0, Status.UNPARSEABLE)
    assert "4000 numbers" in found.why


def test_a_unit_is_not_read_to_the_end_of_the_text_from_each_number_on():
    factors = []
    with pytest.MonkeyPatch.context() as patch:
        read = grammar._factor_at
        patch.setattr(grammar, "_factor_at", lambda *given, **how: factors.append(1) or read(*given, **how))
        judge("5 m", "€5 " * 300)
    assert len(factors) < 300 * 4 * grammar.MAX_REPEATED


def test_tolerances():
    assert judge("9.81 m/s^2", "10 m/s^2", relative=0.05).score == 1.0
    assert judge("9.81 m/s^2", "9.8 m/s^2", relative=0.0001).score == 0.0
    assert judge("9.81 m/s^2", "9.8 m/s^2", relative=0).score == 0.0
    assert judge("5 km", "5001 m", absolute=0.001).score == 1.0
    assert judge("5 km", "5002 m", absolute=0.001).score == 0.0
    assert judge("5 km", "5002 m", absolute=0.001, relative=0.01).score == 1.0


def test_units_may_be_left_out_where_the_prompt_says_so():
    assert judge("5 m/s", "5", unit_required=False).score == 1.0
    assert judge("5 m/s", "5 kg", unit_required=False).score == 0.0
    assert judge("90°", "90", unit_required=False).score == 1.0


def test_temperature_differences():
    assert judge("5 K", "5 °C").score == 0.0
    assert judge("5 K", "5 °C", difference=True).score == 1.0
    assert judge("9 °F", "5 K", difference=True).score == 1.0


@pytest.mark.parametrize(
    ("gold", "options"),
    [
        (None, {}),
        ("", {}),
        ("fast", {}),
        ("5 or 6 m", {}),
        ("5 foos", {}),
        ("5 m", {"relative": -1}),
        ("5 m", {"relative": "0.1"}),
        ("5 m", {"absolute": float("nan")}),
        ("5 m", {"absolute": True}),
    ],
)
def test_a_wrong_prompt_is_no_reward(gold, options):
    found = judge(gold, "5 m", **options)
    assert (found.score, found.status) == (None, Status.INFRA_ERROR)
    assert "correct the prompt" in found.why


@given(
    st.integers(-(10**6), 10**6),
    st.sampled_from([("km", "m", 3), ("m", "mm", 3), ("kg", "g", 3), ("MJ", "kJ", 3), ("s", "ns", 9)]),
)
def test_a_prefix_is_a_power_of_ten(number, units):
    large, small, power = units
    assert judge(f"{number} {large}", f"{number * 10**power} {small}").score == 1.0
    assert judge(f"{number} {large}", f"{number * 10**power * 2 + 1} {small}").score == 0.0


@given(st.text(alphabet="0123456789.,eE+-×^{}()/·*msKWNkµ°C%$ π\\", max_size=40))
def test_no_text_is_a_defect(text):
    assert judge("5 m/s", text).score in {0.0, 1.0}
