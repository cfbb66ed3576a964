"""The catalogue of reasoning-gym's sets: how each is judged, or why it is not.

Invariant: a set is in exactly one of ONE_ANSWER, CHECKERS and REFUSED. reasoning-gym's own scorers are never called:
four evaluate the answer, two parse it with sympy, and many reward garbage or parts of an answer.
"""

import re
from typing import Any

from workers.verifiers.puzzle import algebra, forms, written_numbers
from workers.verifiers.puzzle.checking import Checker
from workers.verifiers.puzzle.cube import CUBE
from workers.verifiers.puzzle.forms import Form
from workers.verifiers.puzzle.grids import GRIDS
from workers.verifiers.puzzle.moves import MOVES
from workers.verifiers.puzzle.paths import PATHS
from workers.verifiers.puzzle.wordplay import WORDPLAY

TEXT = Form("the text, letter by letter", forms.nonempty_line, free=True)
WORD = Form("the word or words, in any case", lambda text: forms.nonempty_line(text).casefold(), free=True)
LIST = Form("the words in order, separated by commas", forms.comma_list, free=True)
BOOLEAN = Form("True or False", forms.boolean)
NUMBER = Form("the number", written_numbers.number, written_numbers.equal)
ROUNDED = Form("the number, to twelve digits", written_numbers.number, written_numbers.equal_unless_long)
INTEGERS = Form("whole numbers in order", forms.integers)
GRID = Form("a grid of whole numbers, one row per line", forms.integer_grid)
JSON_GRID = Form("a grid as JSON", forms.json_grid)
FRACTION = Form("a fraction a/b in lowest terms", forms.reduced_fraction)
NUMBERS = Form("a list of numbers in order", lambda text: written_numbers.quoted_numbers(forms.json_list(text)))

_FORMS: dict[Form, tuple[str, ...]] = {
    TEXT: ("ab", "bf", "emoji_mystery", "letter_jumble", "path_star", "string_insertion", "string_manipulation"),
    WORD: (
        *("acre", "base_conversion", "caesar_cipher", "calendar_arithmetic", "color_cube_rotation"),
        *("family_relationships", "figlet_font", "mahjong_puzzle", "needle_haystack", "spell_backward", "syllogism"),
        "zebra_puzzles",
    ),
    LIST: ("word_sequence_reversal", "word_sorting"),
    BOOLEAN: ("course_schedule", "game_of_life_halting", "isomorphic_strings", "ransom_note"),
    NUMBER: (
        *("aiw", "basic_arithmetic", "binary_alternation", "chain_sum", "circuit_logic", "count_bits", "count_primes"),
        *("decimal_chain_sum", "gcd", "gsm_symbolic", "largest_island", "lcm", "leg_counting", "letter_counting"),
        *("maze", "number_sequence", "products", "rectangle_count", "rotten_oranges", "self_reference"),
        *("simple_equations", "simple_geometry"),
    ),
    ROUNDED: ("decimal_arithmetic",),
    INTEGERS: ("spiral_matrix", "string_splitting", "string_synthesis"),
    GRID: ("arc_1d", "arc_agi", "binary_matrix", "manipulate_matrix", "rearc", "rotate_matrix"),
    JSON_GRID: ("game_of_life",),
    FRACTION: ("dice", "fraction_simplification"),
    NUMBERS: ("number_filtering", "number_sorting"),
    Form("a list of whole numbers", forms.json_integers): ("list_functions",),
    Form("a hexadecimal number", forms.hexadecimal): ("bitwise_arithmetic",),
    Form("the prime factors", forms.factors): ("prime_factorization",),
    Form("a duration as the question asks for it", forms.duration): ("time_intervals",),
    Form("rows of ❌ and ✅", forms.tick_grid): ("modulo_grid",),
    Form("groups as JSON, in any order", forms.unordered_groups): ("group_anagrams",),
    Form("all partitions as JSON, in any order", forms.word_groups): ("palindrome_partitioning",),
    Form("a role for each name", forms.roles): ("knights_knaves",),
    Form("a complex number", written_numbers.complex_number, written_numbers.complex_alike): ("complex_arithmetic",),
    Form("an angle, a length or (x, y)", written_numbers.point, written_numbers.points_alike): ("advanced_geometry",),
    Form("a probability", written_numbers.share, written_numbers.shares_alike): ("coin_flip",),
    Form("the number to three digits", written_numbers.number, written_numbers.three_digits_alike): ("power_function",),
    Form("the number, as one of the candidates shows it", written_numbers.number, written_numbers.hundredths_alike): (
        "number_format",
    ),
    Form("a matrix to two places", written_numbers.number_grid, written_numbers.grids_alike): ("pool_matrix",),
    Form("the real roots, separated by commas", written_numbers.numbers, written_numbers.roots_alike): (
        "polynomial_equations",
    ),
    Form("the expanded polynomial", algebra.polynomial): ("polynomial_multiplication",),
    Form("the antiderivative, with or without a constant", algebra.polynomial, algebra.antiderivatives_alike): (
        "simple_integration",
    ),
}

_NAMED_UNITS: dict[str, tuple[re.Pattern[str], Form]] = {
    "time_intervals": (
        re.compile(r"\bin\s+D\s+days(?!\s*,)", re.IGNORECASE),
        Form("the days, as the question asks for them", forms.days),
    )
}
"""Sets whose questions may name the answer's unit: the pattern that names it, and the form of an answer without it."""


def form_of(name: str, question: str) -> Form:
    """Returns the form of a set's answers to the question."""
    named = _NAMED_UNITS.get(name)
    return named[1] if named and named[0].search(question) else ONE_ANSWER[name]


ONE_ANSWER: dict[str, Form] = {name: form for form, names in _FORMS.items() for name in names}
CHECKERS: dict[str, Checker[Any]] = {**GRIDS, **WORDPLAY, **MOVES, **PATHS, **CUBE}
REFUSED: dict[str, str] = {
    "boxnet": "its score is a share of what was moved, and no answer counts as right",
    "codeio": "many inputs give the output, and judging one means running the code",
    "composite": "it draws from other sets: name the set that the entry came from (metadata.source_dataset)",
    "intermediate_integration": "judging an antiderivative means computer algebra on model text",
    "propositional_logic": "a restated premise follows from the premises too, so almost nothing can be wrong",
    "sentence_reordering": "several orders make a sentence, and the entry knows one",
}
