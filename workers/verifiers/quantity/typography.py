"""Rewrites LaTeX and typography of numbers and units with the few characters that the grammar of quantities reads.

Invariant: only spelling changes, never a value; every pattern is linear in the text.
"""

import re

from workers.verifiers.quantity.compound import spelt_out
from workers.verifiers.quantity.foreign_units import with_symbols
from workers.verifiers.quantity.siunitx import plain_siunitx

_LATEX = [
    (re.compile(r"(?<!\\)\$((?!\s)[^$\n]{1,400}(?<=[^\s\\]))\$(?!\d)"), r" \1 "),
    (
        re.compile(
            r"\\(?:text|mathrm|textrm|textbf|mathbf|mathit|rm|operatorname|mbox|unit|si)\s{0,3}\{([^{}]{0,80})\}"
        ),
        r" \1 ",
    ),
    (re.compile(r"\\[dt]?frac\s{0,3}\{([^{}]{0,80})\}\s{0,3}\{([^{}]{0,80})\}"), r" (\1)/(\2) "),
    (re.compile(r"\\(?:,|;|:|!| |quad\b|qquad\b|left\b|right\b|displaystyle\b)|~"), " "),
    (re.compile(r"\{,\}"), ","),
    (re.compile(r"\^\s{0,3}\{?\s{0,3}\\circ(?![A-Za-z])\s{0,3}\}?|\\degree(?![A-Za-z])|\\circ(?![A-Za-z])"), "°"),
    (re.compile(r"\\times(?![A-Za-z])"), "×"),
    (re.compile(r"\\cdot(?![A-Za-z])"), "·"),
    (re.compile(r"\\pm(?![A-Za-z])"), "±"),
    (re.compile(r"\\(?:approx|simeq|sim|thickapprox)(?![A-Za-z])"), "≈"),
    (re.compile(r"\\pi(?![A-Za-z])"), "π"),
    (re.compile(r"\\mu(?![A-Za-z])"), "µ"),
    (re.compile(r"\\(?:Omega|ohm)(?![A-Za-z])"), "Ω"),
    (re.compile(r"\\(?:AA|angstrom)(?![A-Za-z])"), "Å"),
    (re.compile(r"\\per(?![A-Za-z])"), "/"),
    (re.compile(r"\\[()\[\]]"), " "),
    (re.compile(r"(?<=[\d)}])\s1/(?=[A-Za-zµΩ°])"), " /"),
    (re.compile(r"\\%"), "%"),
    (re.compile(r"\\\$"), "$"),
]
_CHARACTERS = str.maketrans(
    {
        **dict.fromkeys("\u2212\ufe63\uff0d", "-"),
        **dict.fromkeys("\u00a0\u2009\u202f\u2007\u2008\u200a\u2002\u2003", " "),
        **dict(zip("０１２３４５６７８９．", "0123456789.", strict=True)),
        "μ": "µ",
        "\u212a": "K",
        "\u2126": "Ω",
        "\u212b": "Å",
        "⋅": "·",
        "∙": "·",
        "•": "·",
        "✕": "×",
        "≃": "≈",
        "∼": "≈",
        "％": "%",
    }
)
_MARKUP = re.compile(r"[\\${}~]|\s1/")
"""Characters without which none of the patterns of LaTeX matches."""
_SHORT_FRACTION = re.compile(r"\\[dt]?frac\s?(\d)\s?(\d)(?!\d)")
_HALF = re.compile(r"(?<![\d.,])(\d{1,6})\s?½")
_HALVES = re.compile(r"(?<![\d.,])(\d{1,4})\s+and\s+(?:a|one)\s+half\b(?!\s+of\b)", re.IGNORECASE)
_MIXED = re.compile(
    r"(?<![\d.,/^_])(?<![\d/]\s)(\d{1,6})(?:\s?\\[dt]?frac\s?\{(\d{1,4})\}\s?\{(\d{1,4})\}|\s(\d{1,4})/(\d{1,4})(?![\d/.^]))"
)
_INNER_POWER = re.compile(r"\^\s?\{\s?([+-]?\d{1,3})\s?\}")
_SPACES = re.compile(r"[^\S\n]{2,}|[^\S\n ]")
_INNER_SPACES = re.compile(r" (?:(?<=\( )|(?=\))|(?<=µ )(?=[A-Za-zΩ])|(?<= [kMGm] )(?=Ω))")
_SUPERSCRIPT = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺]+")
_PLAIN_DIGITS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")


def _improper(found: re.Match[str]) -> str:
    r"""Rewrites a mixed number as one fraction: `1\frac{1}{2}` is 3/2."""
    over, under = int(found[2] or found[4]), int(found[3] or found[5])
    if not 0 < over < under:
        return found[0]
    return f"({int(found[1]) * under + over})/({under})"


def plain(text: str) -> str:
    """Rewrites a text with the grammar's own characters."""
    if not text.isascii():
        text = with_symbols(text.translate(_CHARACTERS))
        text = _SUPERSCRIPT.sub(lambda run: f"^{run.group().translate(_PLAIN_DIGITS)}", text)
    if "\\" in text or "½" in text or "/" in text:
        text = _MIXED.sub(_improper, _HALF.sub(r"\1.5", _SHORT_FRACTION.sub(r"\\frac{\1}{\2}", text)))
    if _MARKUP.search(text):
        text = _INNER_POWER.sub(r"^(\1)", plain_siunitx(text))
        for pattern, replacement in _LATEX:
            text = pattern.sub(replacement, text)
    text = text.replace("½", "0.5")
    if "half" in text.lower():
        text = _HALVES.sub(r"\1.5", text)
    text = _SPACES.sub(" ", spelt_out(text).replace("**", "^"))
    return _INNER_SPACES.sub("", text).strip()
