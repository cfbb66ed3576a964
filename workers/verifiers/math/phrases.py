"""Words of mathematics, and phrases that keep a plain sentence from giving a value, in the languages of models.

Invariant: there are only patterns here, each linear in the text. They decide what is not a commitment, never what is
right.
"""

import re

_DOUBT = (
    r"maybe|perhaps|possibly|probably|presumably|might|could|either|neither|unless|unsure|uncertain|whether"
    r"|(?<!no )(?<!any )(?<!little )(?<!without )(?<!beyond )doubt|suppose|assume|guess"
)
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
    rf"\b(?:{_DOUBT}|or|not|cannot|never|between|wrong|incorrect|false|untrue|nor|except|(?:any|every)thing\s+but"
    r"|other\s+than|rather\s+than|instead\s+of|far\s+from)\b|n't\b"
    r"|\b(?:(?:more|less|fewer|greater|larger|smaller|bigger|lower|higher)\s+than|at\s+least|at\s+most|up\s+to)"
    r"\s*(?=[-$\\(]*\d)"
    r"|\b(?:no\s+(?:es|son|sé)|nicht|kein\w{0,2}|oder|vielleicht|n'est|pas|ou|peut-être|quizás|não|talvez|non|forse"
    r"|или|не|возможно)\b|(?<=\d)\s+o\s+(?=\d)|不是|并非|不等于|或|可能|ではない|ではありません|아니|또는|ليس|(?<!\w)أو(?!\w)",
    re.IGNORECASE,
)
