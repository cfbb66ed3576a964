"""What the puzzle verifier holds right and wrong, set by set, where reasoning-gym's own scorers err or pay in part."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.messages import Question, Status
from workers.verifiers.base import Verdict
from workers.verifiers.puzzle.algebra import arithmetic
from workers.verifiers.puzzle.forms import FormError
from workers.verifiers.puzzle.verifier import PuzzleVerifier


def judge(dataset: str, response: str, reference: str | None = None, **metadata: Any) -> Verdict:
    entry = {"question": "?", "answer": reference, "metadata": metadata}
    options = {"dataset": dataset, "entry": entry}
    return PuzzleVerifier().verify(
        Question(prompt="?", verifier="puzzle", ground_truth=reference, options=options), response
    )


@pytest.mark.parametrize(
    ("dataset", "reference", "response", "score"),
    [
        ("game_of_life_halting", "True", "False", 0),  # bool("False") is true
        ("game_of_life_halting", "True", "true", 1),
        ("gsm_symbolic", "57", "I don't know 57", 0),
        ("gsm_symbolic", "1687.5", "$1,687.50", 1),
        ("chain_sum", "1000", "+01,000.00", 1),
        ("chain_sum", "0.5", "0.54", 0),
        ("decimal_arithmetic", "25.413", "25.4134", 0),
        ("decimal_arithmetic", "25.413", "25.4130", 1),
        ("decimal_arithmetic", "0.123456789012", "0.1234567890123", 1),
        ("chain_sum", "1000", "1,000", 1),
        ("chain_sum", "1000", "10,00", 0),
        ("chain_sum", "156", "156.", 1),
        ("chain_sum", "156", "1560", 0),
        ("chain_sum", "-156", "\N{MINUS SIGN}156", 1),
        ("chain_sum", "1e3", "1000", 1),
        ("simple_equations", "13", "k = 13", 1),
        ("simple_equations", "13", "k = 13, or k = 14", 0),
        ("number_sorting", "['-92.5', '30.0']", "['-92.0', '30.0']", 0),  # its scorer forgives a difference of 1
        ("number_sorting", "['-92.5', '30.0']", '["-92.5", 30]', 1),
        ("number_sorting", "['-92.5', '30.0']", "['30.0', '-92.5']", 0),
        ("prime_factorization", "2 × 2 × 7", "7 * 2 * 2", 1),
        ("prime_factorization", "2 × 2 × 7", "4 × 7", 0),
        ("fraction_simplification", "$233/380$", "\\frac{233}{380}", 1),
        ("fraction_simplification", "233/380", "466/760", 0),
        ("dice", "781/960", "0.81354", 0),
        ("bitwise_arithmetic", "-0x3", "-3", 1),
        ("bitwise_arithmetic", "0x1d6b0", "0X1D6B0", 1),
        ("bitwise_arithmetic", "0x1d6b0", "1d6b1", 0),
        ("complex_arithmetic", "4.0 - 7.0i", "4-7i", 1),
        ("complex_arithmetic", "4.0 - 7.0i", "4 + -7i", 0),
        ("complex_arithmetic", "6.00i", "6i", 1),
        ("complex_arithmetic", "0.3333333333333333 - 7.0i", "0.33 - 7i", 1),
        ("complex_arithmetic", "0.3333333333333333 - 7.0i", "0.3 - 7i", 0),
        ("complex_arithmetic", "4.0 - 7.0i", "4.01 - 7i", 0),
        ("power_function", "8.05544726166417e-06", "8.06e-6", 1),
        ("power_function", "8.05544726166417e-06", "8.05e-6", 0),
        ("power_function", "8.05544726166417e-06", "8.055e-06", 1),
        ("coin_flip", "0.109375", "7/64", 1),
        ("coin_flip", "0.109375", "10.9375%", 1),
        ("coin_flip", "0.109375", "0.1094", 1),
        ("coin_flip", "0.109375", "0.11", 0),
        ("coin_flip", "0.109375", "0.1095", 0),
        ("time_intervals", "34 days", "34", 0),
        ("time_intervals", "03:30:57", "3:30:57", 1),
        ("time_intervals", "03:30", "03:30:00", 1),
        ("time_intervals", "2 days, 03:30", "1 days, 27:30", 0),
        ("knights_knaves", "Zoe is a knight, and Jack is a knave.", "Jack is a knave and Zoe is a knight", 1),
        ("knights_knaves", "Zoe is a knight, and Jack is a knave.", "Zoe is a knight", 0),
        (
            "knights_knaves",
            "Zoe is a knight, and Jack is a knave.",
            "Zoe is a knight, Zoe is a knave",
            0,
        ),
        ("rotate_matrix", "1 2\n3 4", "[[1, 2], [3, 4]]", 1),
        ("rotate_matrix", "1 2\n3 4", "1 2 3 4", 0),
        ("spiral_matrix", "1 2 3", "[1, 2, 3]", 1),
        ("spiral_matrix", "1 2 3", "1 2 3 4", 0),
        ("game_of_life", "[[0,1],[1,0]]", "[[false, true], [true, false]]", 0),
        ("game_of_life", "[[0,1],[1,0]]", "[[0,1],[1,0],[1,1]]", 0),  # its scorer looks at the cells it expects only
        ("group_anagrams", '[["tan", "nat"], ["eat"]]', '[["eat"], ["nat", "tan"]]', 1),
        ("group_anagrams", '[["tan", "nat"], ["eat"]]', '[["eat", "nat", "tan"]]', 0),
        ("polynomial_multiplication", "6*x**2 + 5*x + 1", "1+5*x+6*x^2", 1),
        ("polynomial_multiplication", "6*x**2 + 5*x + 1", "(2*x + 1)*(3*x + 1)", 0),
        ("simple_integration", "-x**9 + 9*x**4/2 + C", "4.5*x**4 - x**9", 1),
        ("simple_integration", "-x**9 + 9*x**4/2 + C", "(9*x**4)/2 - x**9 + K", 1),
        ("simple_integration", "-x**9 + 9*x**4/2 + C", "(9/2)x^4 - x^9 + 7", 1),
        ("simple_integration", "-x**9 + 9*x**4/2 + C", "\\frac{9}{2}x^{4} - x^{9}", 1),
        ("simple_integration", "-x**9 + 9*x**4/2 + C", "4.6*x**4 - x**9", 0),
        ("simple_integration", "-x**9 + 9*x**4/2 + C", "4.5*x**4 - x**9 + x", 0),
        ("simple_integration", "-x**9 + 9*x**4/2 + C", "4.5*x**4 - x**9 + K + D", 0),
        ("simple_integration", "-x**9 + 9*x**4/2 + C", "4.5*x**4 - x**9 + 2*K", 0),
        ("polynomial_multiplication", "x**2 + 3*x + 2", "(x + 1)*(x + 2)", 0),
        ("polynomial_multiplication", "x**2 + 3*x + 2", "x^{2} + 3x + 2", 1),
        ("polynomial_multiplication", "55*x", "5 5*x", 0),
        ("simple_integration", "-x**9 + 9*x**4/2 + C", "9/2*x**4 - x**9 + 7", 1),
        ("simple_integration", "-x**9 + 9*x**4/2 + C", "-x**9 + 9*x**4/2 + C*x", 0),
        ("polynomial_equations", "-1.5, 2.0", "2, -1.5", 1),
        ("polynomial_equations", "-1.5, 2.0", "2, 2, -1.5", 0),
        ("advanced_geometry", "(-51.000, 41.000)", "(-51, 41)", 1),
        ("advanced_geometry", "1.186", "1.1865", 1),
        ("advanced_geometry", "1.186", "1.19", 0),
        ("advanced_geometry", "34.51°", "34.514", 1),
        ("word_sorting", "KIND, bomb", "bomb, KIND", 0),
        ("word_sorting", "KIND, bomb", "KIND,bomb", 1),
        ("caesar_cipher", "TO THIS WORK", "to  this work.", 1),
        ("string_insertion", "BDAAE", "['B', 'D', 'A', 'A', 'E']", 0),
        ("string_insertion", "BDAAE", "bdaae", 0),
        ("syllogism", "No", "The answer is no.\nI hope this helps.", 1),
        ("syllogism", "No", "The answer is no.\nOr maybe yes.", 0),
        ("syllogism", "No", "The answer is no. The answer is yes.", 0),
        ("syllogism", "No", "**No**", 1),
        ("syllogism", "No", "$\\boxed{\\text{No}}$", 1),
        ("syllogism", "No", "Not sure, but <answer>No</answer>", 0),
    ],
)
def test_sets_with_one_right_answer(dataset: str, reference: str, response: str, score: float) -> None:
    verdict = judge(dataset, response, reference)
    assert verdict.score == score, verdict.why


@pytest.mark.parametrize(("response", "score"), [("34", 1.0), ("34 days", 1.0), ("33", 0.0), ("34:00", 0.0)])
def test_a_unit_that_the_question_names_may_be_left_out(response: str, score: float) -> None:
    prompt = "How long was the meeting? Answer in D days."
    question = Question(prompt=prompt, ground_truth="34 days", options={"dataset": "time_intervals"})
    assert PuzzleVerifier().verify(question, response).score == score


def moves(*steps: str) -> str:
    return "\n".join(f"Move disk {disk} from Peg {source} to Peg {target}" for disk, source, target in steps)


BOARD = [list("____"), list("___Q"), list("____"), list("____")]
DISKS = {"num_disks": 2, "num_pegs": 3, "start_peg": 1, "target_peg": 3}
JUGS = {"puzzle": {"jug_capacities": [3, 5], "target": 4}}
FOUR = {"puzzle": {"jug_capacities": [3, 5], "target": 3}}
GRAPH = {"puzzle": {"vertices": [0, 1, 2], "edges": [[0, 1], [1, 2]], "color_options": [1, 2]}}
COLOURS = ('{"0": 1, "1": 2, "2": 1}', '{"0": 2, "1": 1, "2": 2}')
SUM = {"words_letters": ["A", "B"], "result_letters": "C", "allow_leading_zero": False}
MAZE = {"matrix": [["*", "O", "#"], ["O", "O", "O"]]}
MINI = {"puzzle": [[0, 1, 0, 4], [0, 0, 2, 0], [0, 0, 0, 0], [0, 4, 1, 0]]}
LOCK = {
    "buttons": [
        {"name": "A", "type": "add", "value": 1, "active_state": "any"},
        {"name": "B", "type": "add", "value": 2, "active_state": "green"},
    ],
    "initial_state": "red",
    "initial_value": 0,
    "target_value": 3,
    "solution_path": ["A", "B"],
}
PUSH = {"gamestr": "+ + + + +\n+ * @ X +\n+ - - - +\n+ + + + +\n"}
SCRAMBLED = {"cube_size": 3, "scramble_moves": "R U"}


@pytest.mark.parametrize(
    ("dataset", "metadata", "response", "score"),
    [
        ("n_queens", {"puzzle": BOARD}, "_ Q _ _\n_ _ _ Q\nQ _ _ _\n_ _ Q _", 1),
        ("n_queens", {"puzzle": BOARD}, "_Q__\n___Q\nQ___\n__Q_", 1),
        ("n_queens", {"puzzle": BOARD}, "_ _ Q _\nQ _ _ _\n_ _ _ Q\n_ Q _ _", 0),  # valid, but the given queen moved
        ("n_queens", {"puzzle": BOARD}, "_ Q _ _\n_ _ _ Q\nQ _ _ _\n_ _ _ _", 0),
        ("n_queens", {"puzzle": BOARD}, "[['_','Q','_','_']]", 0),
        ("countdown", {"numbers": [2, 3, 5], "target": 25}, "(2 + 3)*5", 1),
        ("countdown", {"numbers": [2, 3, 5], "target": 25}, "(2 + 3) × 5", 1),
        ("countdown", {"numbers": [2, 3, 5], "target": 25}, "5*5", 0),
        ("countdown", {"numbers": [2, 3, 5], "target": 25}, "25", 0),
        ("countdown", {"numbers": [2, 3, 5], "target": 25}, "(2 + 3)*5 + 0*2", 0),
        ("countdown", {"numbers": [2, 3, 5], "target": 25}, "(2 + 3)*5 = 25", 0),
        ("countdown", {"numbers": [2, 5], "target": 25}, "5**2", 0),
        ("countdown", {"numbers": [2, 5], "target": 25}, "25 # 2 5", 0),
        ("countdown", {"numbers": [1, 3], "target": 3}, "3/1", 1),
        ("countdown", {"numbers": [1, 3, 3], "target": 1}, "1/3*3", 1),  # exact fractions, no floats
        ("countdown", {"numbers": [1, 1, 3], "target": 3}, "3/(1 - 1)", 0),
        ("countdown", {"numbers": [9, 9], "target": 1}, "Integer(9)/9", 0),
        ("puzzle24", {"numbers": [7, 4, 4, 1]}, "1*(7*4 - 4)", 1),
        ("puzzle24", {"numbers": [7, 4, 4, 1]}, "6*4*1*1", 0),  # its scorer asks for any four numbers
        ("puzzle24", {"numbers": [7, 4, 4, 1]}, "24.5 - 0.5", 0),
        ("cryptarithm", SUM, "A=1,B=2,C=3", 1),
        ("cryptarithm", SUM, "A=2, B=1, C=3", 1),
        ("cryptarithm", SUM, "A=0,B=3,C=3", 0),
        ("cryptarithm", SUM, "A=1,B=2,C=3,D=4", 0),
        ("cryptarithm", SUM, "A=1,A=1,B=2,C=3", 0),
        ("palindrome_generation", {"letters": ["a", "b", "a"]}, "aba", 1),
        ("palindrome_generation", {"letters": ["a", "b", "a"]}, "aa", 0),
        ("tower_of_hanoi", DISKS, moves("112", "213", "123"), 1),
        ("tower_of_hanoi", DISKS, moves("113", "213"), 0),
        ("tower_of_hanoi", DISKS, moves("119"), 0),
        ("tower_of_hanoi", DISKS, moves("113", "132", "213", "123"), 1),  # the shortest is not asked for
        ("jugs", JUGS, json.dumps(["fill B", "pour B->A", "empty A", "pour B->A", "fill B", "pour B->A"]), 1),
        ("jugs", JUGS, json.dumps(["fill B"]), 0),
        ("jugs", JUGS, json.dumps(["fill Z"]), 0),
        ("jugs", JUGS, json.dumps(["pour A->A"]), 0),
        ("jugs", JUGS, "[]", 0),
        ("jugs", FOUR, '["fill A"]', 1),
        ("graph_color", GRAPH, '{"0": 1, "1": 2, "2": 1}', 1),
        ("graph_color", GRAPH, '{"0": 2, "1": 1, "2": 2}', 1),
        ("graph_color", GRAPH, '{"0": 1, "1": 1, "2": 2}', 0),
        ("graph_color", GRAPH, '{"0": 1, "1": 3, "2": 1}', 0),
        ("graph_color", GRAPH, '{"0": 1, "1": 2}', 0),
        ("graph_color", GRAPH, f"<answer>{COLOURS[0]}</answer> <answer>{COLOURS[1]}</answer>", 0),
        ("shortest_path", MAZE, "right right", 1),
        ("shortest_path", MAZE, "down right right up", 0),
        ("shortest_path", MAZE, "infeasible", 0),
        ("shortest_path", {"matrix": [["*", "X", "#"]]}, "infeasible", 1),
        ("shortest_path", {"matrix": [["*", "X", "#"]]}, "right right", 0),
        ("mini_sudoku", MINI, "2 1 3 4\n4 3 2 1\n1 2 4 3\n3 4 1 2", 1),
        ("mini_sudoku", MINI, "2 1 3 4\n4 3 2 1\n1 2 4 3\n3 4 2 1", 0),
        ("mini_sudoku", MINI, "1 2 3 4\n3 4 1 2\n2 1 4 3\n4 3 2 1", 0),  # a sudoku, but another
        ("kakurasu", {"row_sums": [1, 2], "col_sums": [1, 2]}, "1 0\n0 1", 1),
        ("kakurasu", {"row_sums": [1, 2], "col_sums": [1, 2]}, "I don't know 1 0\n0 1", 0),
        ("quantum_lock", LOCK, "A → B", 1),
        ("quantum_lock", LOCK, "A -> B", 1),
        ("quantum_lock", LOCK, "A → A → A", 0),
        ("quantum_lock", LOCK, "B → A", 0),
        ("sokoban", PUSH, "R", 1),
        ("sokoban", PUSH, "DUR", 1),
        ("sokoban", PUSH, "I don't know R", 0),
        ("sokoban", PUSH, "D", 0),
        ("rubiks_cube", SCRAMBLED, "U' R'", 1),
        ("rubiks_cube", SCRAMBLED, "U U U R2 R", 1),
        ("rubiks_cube", SCRAMBLED, "R' U'", 0),
        ("rubiks_cube", SCRAMBLED, "x y z", 0),
    ],
)  # fmt: skip
def test_sets_with_many_right_answers(dataset: str, metadata: dict[str, Any], response: str, score: float) -> None:
    verdict = judge(dataset, response, **metadata)
    assert verdict.score == score, verdict.why


@pytest.mark.parametrize(
    ("options", "reference", "why"),
    [
        ({}, "5", "is not judged here"),
        ({"dataset": "codeio"}, "5", "running the code"),
        ({"dataset": "codeio"}, "5", "countdown, "),
        ({"dataset": ["gcd"]}, "5", "is not judged here"),
        ({"dataset": "gcd"}, None, "no right answer"),
        ({"dataset": "gcd"}, "five", "is not the number"),
        ({"dataset": "gcd", "entry": {"answer": "6"}}, "5", "differ"),
        ({"dataset": "gcd", "entry": "5"}, "5", "options.entry is an object"),
        ({"dataset": "countdown", "entry": {"metadata": {"numbers": [1]}}}, None, "options.entry.metadata"),
        ({"dataset": "countdown", "entry": {"metadata": {"numbers": 5, "target": 1}}}, None, "entry.metadata"),
        ({"dataset": "countdown", "entry": {}}, None, "options.entry.metadata"),
        ({"dataset": "tsumego", "entry": {"metadata": {"board": [["."]]}}}, None, "no move captures"),
    ],
)  # fmt: skip
def test_a_prompts_defect_is_never_a_reward(options: dict[str, Any], reference: str | None, why: str) -> None:
    question = Question(prompt="?", verifier="puzzle", ground_truth=reference, options=options)
    verdict = PuzzleVerifier().verify(question, "A1")
    assert (verdict.score, verdict.status) == (None, Status.INFRA_ERROR)
    assert why in verdict.why


@pytest.mark.parametrize(
    "hostile",
    [
        "<answer>" * 6000,
        "<answer></answer>" * 2900,
        "\\boxed{" * 6000,
        "answer is " * 4900,
        "```\n" * 12_000,
        "**" * 24_000,
        "1 " * 24_000,
        "1," * 24_000,
        "(" * 48_000,
        "[" * 24_000 + "]" * 24_000,
        " " * 49_000,
    ],
)
@pytest.mark.parametrize("dataset", ["gcd", "syllogism", "rotate_matrix", "game_of_life", "pool_matrix", "countdown"])
@pytest.mark.timeout(20)
def test_long_and_odd_texts_cost_little(dataset: str, hostile: str) -> None:
    """Each is at most linear: a quadratic search would take minutes here."""
    golds = {"gcd": "7", "syllogism": "No", "rotate_matrix": "1 2", "game_of_life": "[[0]]", "pool_matrix": "1.5 2.0"}
    for response in (hostile, f"<answer>{hostile}</answer>", f"The answer is: {hostile}"):
        verdict = judge(dataset, response, golds.get(dataset), numbers=[2, 3], target=5)
        assert verdict.score == 0.0


def test_the_puzzle_set_may_be_named_by_the_metadata() -> None:
    entry = {"question": "?", "answer": "5", "metadata": {"source_dataset": "gcd"}}
    verdict = PuzzleVerifier().verify(Question(prompt="?", verifier="puzzle", options={"entry": entry}), "5")
    assert verdict.score == 1.0


@settings(max_examples=300)
@given(st.text(alphabet="0123456789+-*/() x", max_size=60))
def test_arithmetic_is_bounded_and_agrees_with_python(text: str) -> None:
    from fractions import Fraction

    try:
        value, used = arithmetic(text)
    except FormError:
        return
    wrapped = __import__("re").sub(r"\d+", lambda digits: f"Fraction({int(digits.group())})", text.strip())
    assert value == eval(wrapped, {"Fraction": Fraction})  # noqa: S307  what is generated above, no names but Fraction
    assert len(used) == wrapped.count("Fraction")
