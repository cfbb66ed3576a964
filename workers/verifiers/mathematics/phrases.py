"""Phrases by which a text hedges, denies, asks or takes back, in the languages that models answer in.

Invariant: patterns only, each linear in the text. They decide what is no commitment, never what is right.
"""

import re

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
_DOUBT = (
    r"maybe|perhaps|possibly|probably|presumably|might|could|either|neither|unless|unsure|uncertain|whether|doubt"
    r"|suppose|assume|guess"
)
HEDGE = re.compile(
    rf"\b(?:{_DOUBT}|or|not|cannot|never|between|wrong|incorrect|false|untrue|nor|except|(?:any|every)thing\s+but"
    r"|other\s+than|rather\s+than|instead\s+of)\b|n't\b"
    r"|\b(?:(?:more|less|fewer|greater|larger|smaller|bigger|lower|higher)\s+than|at\s+least|at\s+most|up\s+to)"
    r"\s*(?=[-$\\(]*\d)"
    r"|\b(?:no\s+(?:es|son|sé)|nicht|kein\w{0,2}|oder|vielleicht|n'est|pas|ou|peut-être|quizás|não|talvez|non|forse"
    r"|или|не|возможно)\b|(?<=\d)\s+o\s+(?=\d)|不是|并非|不等于|或|可能|ではない|ではありません|아니|또는|ليس|(?<!\w)أو(?!\w)",
    re.IGNORECASE,
)
DENIED_ANCHOR = re.compile(
    rf"(?:\b(?:{_DOUBT}|not|never|cannot|false|wrong|untrue|if|unlikely|believe\s+neither)\b|n't\b)(?:\s+[\w']+){{0,3}}\s*$"
    r"|\b(?:no|nicht|pas|não|non|не)\s+\S{1,12}\s+\S{0,12}\s*$",
    re.IGNORECASE,
)
"""At the end of what stands before `the answer is`."""
DENIED_BOX = re.compile(
    rf"(?:\b(?:{_DOUBT}|not|never)|n't)(?:\s+(?:be|it's|is|it\s+is))?\s*[$({{\\\[]{{0,4}}$", re.IGNORECASE
)
"""At the end of what stands before a box."""
TAKEN_BACK = re.compile(
    r"\b(?:scratch\s+that|i\s+was\s+wrong|never\s?mind|on\s+second\s+thoughts?|i(?:'ve|\s+have)?\s+made\s+an?\s+(?:mistake|error)"
    r"|(?:that|this|which)(?:'s|\s+is|\s+was)\s+(?:wrong|incorrect|not\s+(?:right|correct)|a\s+mistake)"
    r"|that\s+can(?:'t|not)\s+be\s+right)\b",
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
