"""Numbers with units: the response's quantity against the reference's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.messages import Question, Status
from workers.verifiers.quantity import QuantityVerifier


def judge(gold, response, **options):
    return QuantityVerifier().verify(Question(prompt="?", ground_truth=gold, options=options), response)


@pytest.mark.parametrize(
    ("gold", "response"),
    [
        *[
            ("5 m/s", form)
            for form in (
                "5 m/s",
                "5m/s",
                "5.0 m/s",
                "5 m s^-1",
                "5 m·s⁻¹",
                "5 m s⁻¹",
                "5 m s^{-1}",
                "5 m/s.",
                "5 ms^-1",
            )
        ],
        *[
            ("5 m/s", form)
            for form in (
                "5 meters per second",
                "5 metres/second",
                "18 km/h",
                "18 kph",
                "0.005 km/s",
                "500 cm/s",
                "+5 m/s",
            )
        ],
        *[
            ("5 m/s", form)
            for form in (
                "$5\\ \\text{m/s}$",
                "5\\,\\mathrm{m/s}",
                "5\\,\\mathrm{m}\\,\\mathrm{s}^{-1}",
                "\\(5 \\text{ m/s}\\)",
            )
        ],
        *[
            ("5 m/s", form)
            for form in ("\\boxed{5\\text{ m/s}}", "\\boxed{5 \\frac{m}{s}}", "$\\boxed{5\\,\\text{m}/\\text{s}}$")
        ],
        *[
            ("5 m/s", form)
            for form in ("**5 m/s**", "`5 m/s`", "v = 5 m/s", "v = 10 m / 2 s = 5 m/s", "<answer>5 m/s</answer>")
        ],
        *[
            ("5 m/s", form)
            for form in ("The answer is 5 m/s.", "Answer: 5 m/s", "#### 5 m/s", "Final answer: **5 m/s**")
        ],
        *[
            ("5 m/s", form)
            for form in ("The speed is 5 m/s.", "The speed is 5 m/s, as expected.", "It moves at 5 m/s in this case.")
        ],
        *[
            ("5 m/s", form)
            for form in (
                "10 m in 2 s, so the speed is 5 m/s.",
                "d = 10 m\nt = 2 s\nv = d/t = 5 m/s",
                "10 m / 2 s = 5 m/s",
            )
        ],
        *[
            ("5 m/s", form)
            for form in (
                "approximately 5 m/s",
                "about 5 m/s",
                "≈ 5 m/s",
                "~5 m/s",
                "The answer is approximately 5 m/s.",
            )
        ],
        *[
            ("5 m/s", form)
            for form in (
                "<think>6 m/s</think>5 m/s",
                "The answer is 6 m/s. No, wait, the answer is 5 m/s.",
                "6 m/s. No, 5 m/s",
            )
        ],
        *[
            ("5 m/s", form)
            for form in ("The answer is 5 m/s. \\boxed{5 m/s}", "\\boxed{5 m/s} = \\boxed{18 km/h}", "5 m/s = 18 km/h")
        ],
        *[
            ("9.81 m/s^2", form)
            for form in (
                "9.81 m/s²",
                "9.81 m s⁻²",
                "9.81 m/s/s",
                "9.81 m/s**2",
                "9.81 meters per second squared",
                "9.8 m/s^2",
            )
        ],
        *[("9.81 m/s^2", form) for form in ("981 cm/s²", "9.81 N/kg", "9.807 m/s^2", "9.81 m s-2", "9.81 m/s2")],
        *[
            ("1200 m", form)
            for form in (
                "1.2e3 m",
                "1.2E3 m",
                "1.2×10^3 m",
                "1.2 x 10^3 m",
                "1.2*10^3 m",
                "1.2\\times 10^{3} m",
                "1.2 km",
            )
        ],
        *[
            ("1200 m", form)
            for form in (
                "1,200 m",
                "1 200 m",
                "1\u202f200 m",
                "1{,}200 m",
                "1.2·10³ m",
                "1.2 \\cdot 10^3 m",
                "1200.0 m",
                "12e2 m",
            )
        ],
        *[
            ("-5 °C", form)
            for form in (
                "-5 °C",
                "−5 °C",
                "-5°C",
                "-5 degrees Celsius",
                "-5 C",
                "-5^\\circ C",
                "-5^{\\circ}\\text{C}",
                "268.15 K",
                "23 °F",
            )
        ],
        *[("25 C", "25 °C"), ("77 °F", "25 °C"), ("300 K", "26.85 °C"), ("0 °C", "273.15 K"), ("0 °C", "32 F")],
        *[("4.18 J/(g °C)", "4.18 J/(g K)"), ("4180 J/(kg·K)", "4.18 kJ/(kg °C)"), ("4.18 J/g°C", "4.18 J/(g·°C)")],
        *[
            ("18", form)
            for form in (
                "18",
                "18.0",
                "$18.00",
                "\\$18",
                "18 dollars",
                "18 apples",
                "18 cm",
                "18%",
                "There are 18 of them.",
            )
        ],
        *[("$18", form) for form in ("$18", "$18.00", "18 dollars", "18 USD", "\\$18.00", "1800 cents", "US$18")],
        *[("$5 million", "$5,000,000"), ("€20", "20 euros"), ("€20", "20 €"), ("£3", "£3.00"), ("50 cents", "$0.50")],
        *[("50%", form) for form in ("50%", "50 %", "50\\%", "50 percent", "0.5", "$50\\%$", "1/2")],
        *[
            ("0.5", "50%"),
            ("90°", "90 degrees"),
            ("90°", "90^\\circ"),
            ("90 degrees", "π/2 rad"),
            ("π/2", "\\frac{\\pi}{2}"),
            ("3.14 rad", "3.14"),
        ],
        *[("1/3 m", "0.333 m"), ("\\frac{1}{3} m", "1/3 m"), ("0.5 m", "\\frac{1}{2} m"), ("0.5 m", "½ m")],
        *[
            ("8.314 J/(mol K)", form)
            for form in ("8.314 J/mol/K", "8.314 J/(mol·K)", "8.314 J mol^-1 K^-1", "8.31 J/(mol K)", "8.314 J/mol K")
        ],
        *[
            ("60 rpm", "1 Hz"),
            ("1 Hz", "1 s^-1"),
            ("6.02e23", "6.02\\times10^{23}"),
            ("5 MW", "5e6 W"),
            ("5 mW", "0.005 W"),
            ("5 Nm", "5 J"),
        ],
        *[("5 µm", form) for form in ("5 μm", "5 um", "5 \\mu m", "5 \\mu\\text{m}", "5e-6 m", "5 micrometers")],
        *[("5 kΩ", form) for form in ("5 kΩ", "5000 ohm", "5 k\\Omega", "5 kilohms", "5 \\text{k}\\Omega")],
        *[
            ("3.14 m", "3,14 m"),
            ("0.3 m", "0.30000000000000004 m"),
            ("1 mile", "1.609 km"),
            ("5 m", "5 M".lower()),
            ("3.0e8 m/s", "299792458 m/s"),
        ],
        *[
            ("5 kg", "5 Kg"),
            ("5 km", "5 KM"),
            ("5 in", "12.7 cm"),
            ("5 ft", "60 in"),
            ("1 h", "60 min"),
            ("1 L", "1000 cm^3"),
            ("1 day", "24 hours"),
        ],
        *[
            ("5 m^2", "5 square meters"),
            ("5 m³", "5 cubic meters"),
            ("1 mol/L", "1 M"),
            ("1 atm", "101325 Pa"),
            ("1 eV", "1.602e-19 J"),
        ],
        *[("0", "0"), ("0 m", "0 m"), ("0 m", "-0 km"), ("10^5 Pa", "1 bar"), ("5 dB", "5 dB"), ("7", "The pH is 7.")],
    ],
)
def test_the_same_quantity_is_right(gold, response):
    found = judge(gold, response)
    assert (found.score, found.status) == (1.0, Status.CORRECT), found.why


@pytest.mark.parametrize(
    ("gold", "response"),
    [
        *[
            ("5 m/s", form)
            for form in (
                "",
                " ",
                ".",
                "m/s",
                "5",
                "five",
                "<think>5 m/s</think>",
                "<think>5 m/s",
                "I don't know.",
                "\\boxed{}",
            )
        ],
        *[
            ("5 m/s", form)
            for form in (
                "6 m/s",
                "-5 m/s",
                "5 km/s",
                "5 m",
                "5 s",
                "5 m/s^2",
                "5 m·s",
                "5 s/m",
                "5 kg",
                "5 mm/s",
                "50 m/s",
                "5 Mm/s",
            )
        ],
        *[
            ("5 m/s", form)
            for form in (
                "5 m/s or 6 m/s",
                "6 m/s or 5 m/s",
                "5 or 6 m/s",
                "either 5 m/s or 6 m/s",
                "5 m/s and 6 m/s",
                "5, 6 m/s",
            )
        ],
        *[
            ("5 m/s", form)
            for form in (
                "5-6 m/s",
                "5–6 m/s",
                "5 to 6 m/s",
                "between 5 and 6 m/s",
                "4 ± 1 m/s",
                "5 ± 1 m/s",
                "5 +/- 1 m/s",
                "4 m/s - 5 m/s",
            )
        ],
        *[
            ("5 m/s", form)
            for form in (
                "at least 5 m/s",
                "at most 5 m/s",
                "> 5 m/s",
                ">5 m/s",
                "≥ 5 m/s",
                "\\geq 5 m/s",
                "less than 5 m/s",
                "up to 5 m/s",
            )
        ],
        *[
            ("5 m/s", form)
            for form in (
                "maybe 5 m/s",
                "probably 5 m/s",
                "It could be 5 m/s.",
                "not 5 m/s",
                "The answer is not 5 m/s.",
                "5 m/s?",
                "I guess 5 m/s",
            )
        ],
        *[
            ("5 m/s", form)
            for form in (
                "\\boxed{5 m/s}\\boxed{6 m/s}",
                "\\boxed{6 m/s} so \\boxed{5 m/s}",
                "The answer is 6 m/s. \\boxed{5 m/s}",
                "\\boxed{5 m/s",
            )
        ],
        *[
            ("5 m/s", form)
            for form in (
                "The answer is 5 m/s. The answer is 6 m/s.",
                "5 m/s\n6 m/s",
                "6 m/s\n5 m/s",
                "The speed is 5 m/s. The speed is 6 m/s.",
            )
        ],
        *[
            ("5 m/s", form)
            for form in (
                "The answer is 5 m/s. No, wait, the answer is 6 m/s.",
                "\\boxed{5 = 101}",
                "6 = 5 m/s",
                "\\boxed{6 m/s = 5 m/s}",
            )
        ],
        *[
            ("5 m/s", form)
            for form in (
                "nan",
                "nan m/s",
                "inf m/s",
                "∞ m/s",
                "1e999 m/s",
                "5e0e0 m/s",
                "0x5 m/s",
                "5 m/s/",
                "5 m//s",
                "5 (m/s",
            )
        ],
        *[
            ("5 m/s", form)
            for form in (
                "5 m^99/s",
                "5 m^9^9/s",
                "9^{9^9} m/s",
                "5**9**9 m/s",
                "5 m/s" * 1000,
                "5" * 100_000,
                "5 m" + "/s" * 50_000,
            )
        ],
        *[
            ("5 m/s", form)
            for form in (
                "__import__('os').system('x') m/s",
                "5 m.__class__/s",
                "5 apples",
                "5 m/apple",
            )
        ],
        *[
            ("5 mW", "5 MW"),
            ("5 MW", "5 mW"),
            ("5 M", "5 m"),
            ("5 Pa", "5 pA"),
            ("5 N", "5 n"),
            ("5 K", "5 k"),
            ("5 g", "5 G"),
        ],
        *[
            ("5 km", "5.4 km"),
            ("5 km", "5.04 km"),
            ("12 V", "12.4 V"),
            ("12 V", "12.1 V"),
            ("100 °C", "101 °C"),
            ("1000 kg", "1001 kg"),
        ],
        *[
            ("100000", "100001"),
            ("1234 J", "1300 J"),
            ("3.14 m", "3.15 m"),
            ("9.81 m/s^2", "10 m/s^2"),
            ("9.81 m/s^2", "9.83 m/s^2"),
            ("0.5 m", "0.4 m"),
        ],
        *[
            ("25 °C", "25 K"),
            ("25 K", "25 °C"),
            ("0 °C", "0 K"),
            ("25 °C", "25 °F"),
            ("25 °C", "25"),
            ("25 °C", "25 J"),
        ],
        *[
            ("18", "$19"),
            ("$18", "€18"),
            ("$18", "18"),
            ("$18", "$18 million"),
            ("$18", "$1.8"),
            ("$18", "18%"),
            ("18", "1 8"),
            ("18", "1,8"),
        ],
        *[
            ("50%", "50"),
            ("50%", "5%"),
            ("0.5", "5%"),
            ("50%", "50 m"),
            ("90°", "90"),
            ("90°", "90 rad"),
            ("90°", "π/3 rad"),
        ],
        *[
            ("1 Hz", "1 rad/s"),
            ("1 Hz", "6.28 rad/s"),
            ("1 Hz", "1 Bq"),
            ("1 Gy", "1 Sv"),
            ("60 rpm", "60 Hz"),
            ("5 dB", "5"),
            ("5 dB", "6 dB"),
        ],
        *[
            ("0", "0.0001"),
            ("0 m", "0 s"),
            ("0 m", "0"),
            ("1/3 m", "0.3 m"),
            ("1/3 m", "0.334 m"),
            ("1/2", "1/0"),
            ("5", "1/2 5"),
        ],
        *[
            ("1 mol/L", "1 mol"),
            ("1e-10 m", "2e-10 m"),
            ("1 µm", "1 mm"),
            ("1234567 m", "1234568 m"),
            ("8.314 J/(mol K)", "8.314 J/mol"),
        ],
    ],
)
def test_anything_else_is_wrong(gold, response):
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
def test_working_and_boxes(gold, response, score):
    found = judge(gold, response)
    assert found.score == score, found.why


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
