"""LaTeX and typography of numbers and units, as the few characters that the grammar of quantities reads.

Invariant: only spelling changes, never a value; every pattern is linear in the text.
"""

import re


def plain(text: str) -> str:
    """LaTeX and typography as the grammar's own characters."""
    text = text.translate(_CHARACTERS)
    text = _SUPERSCRIPT.sub(lambda run: f"^{run.group().translate(_PLAIN_DIGITS)}", text)
    for pattern, replacement in _LATEX:
        text = pattern.sub(replacement, text)
    text = re.sub(r"[^\S\n]+", " ", text.replace("**", "^"))
    return re.sub(r"(?<=\() | (?=\))|(?<=µ) (?=[A-Za-zΩ])|(?<= [kMGm]) (?=Ω)", "", text).strip()
