"""Phrases by which a text hedges or denies a value, or puts another in its place, in the languages of models.

Invariant: patterns only, each linear in the text. They decide what is no commitment, never what is right.
"""

import re

from workers.verifiers.answers.retractions import DOUBT

MATHS_WORDS = frozenset(
    [
        *(
            "sin",
            "cos",
            "tan",
            "cot",
            "sec",
            "csc",
            "log",
            "ln",
            "exp",
            "sqrt",
            "pi",
            "max",
            "min",
            "gcd",
            "lcm",
            "mod",
        ),
        *("infinity", "and", "or", "in", "dx", "dy", "dz", "dt", "du", "dr"),
    ]
)
HEDGE = re.compile(
    rf"\b(?:{DOUBT}|or|not|cannot|never|between|wrong|incorrect|false|untrue|nor|except|(?:any|every)thing\s+but"
    r"|other\s+than|rather\s+than|instead\s+of|far\s+from)\b|n't\b"
    r"|\b(?:(?:more|less|fewer|greater|larger|smaller|bigger|lower|higher)\s+than|at\s+least|at\s+most|up\s+to)"
    r"\s*(?=[-$\\(]*\d)"
    r"|\b(?:no\s+(?:es|son|sé)|nicht|kein\w{0,2}|oder|vielleicht|n'est|pas|ou|peut-être|quizás|não|talvez|non|forse"
    r"|или|не|возможно)\b|(?<=\d)\s+o\s+(?=\d)|不是|并非|不等于|或|可能|ではない|ではありません|아니|또는|ليس|(?<!\w)أو(?!\w)",
    re.IGNORECASE,
)
REPLACED = re.compile(
    r"(?:\A|(?<=[.!?;,\n]))[\s,$]{0,8}(?:or|alternatively|maybe|perhaps|possibly|rather|oops|hmm)\b"
    r"(?:[^.!?\n]|\.(?=\d)){0,300}",
    re.IGNORECASE,
)
"""A sentence after an answer that gives another in its place or beside it."""
ASIDE = re.compile(
    r",?\s+(?:(?:because|since|as|which|so|given\s+that)\s|\(?(?:and\s+)?not\s+[$\\(]{0,3}-?\d)", re.IGNORECASE
)
"""Where an answer's reason begins, or what it is not."""
FILLER = re.compile(
    r"(?:(?:the|so|then|thus|hence|therefore|final|as|follows|below|here|my|our|is|and)\b|[\s.,:;*#]){1,8}",
    re.IGNORECASE,
)
"""What an announcement may hold before the answer itself."""
