r"""Normalises what people and models write in several ways: characters of a text, LaTeX of one expression.

Invariant: the value does not change. Invisible characters are removed, look-alikes become ASCII, and a superscript
remains an exponent: `10⁵` becomes `10^{5}`, never 105.
"""

import re
import unicodedata

from workers.verifiers.answers.markup import enclosed
from workers.verifiers.answers.numbers import read_number
from workers.verifiers.math.spelling import known

_INVISIBLE = dict.fromkeys(
    map(ord, "\xad\u061c\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\ufe0f\u20e3\ufeff")
)
_INVISIBLE |= dict.fromkeys([*range(0x2060, 0x2065), *range(0x2066, 0x206A)])
_WIDE = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_ALIKE = {
    **dict.fromkeys(map(ord, "−‐‑‒–﹣"), "-"),
    **dict.fromkeys(map(ord, "\xa0\u2002\u2003\u2007\u2009\u200a\u202f\u3000"), " "),
    **dict.fromkeys(map(ord, "⁄∕"), "/"),
    **str.maketrans({"。": ". ", "、": ", ", "’": "'"}),
}
_TABLE = {**_INVISIBLE, **_WIDE, **_ALIKE}
_VULGAR = "½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅐⅛⅜⅝⅞⅑⅒"
_RAISED, _LOWERED = "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ", "₀₁₂₃₄₅₆₇₈₉"
_VULGAR_FRACTION = re.compile(rf"(?<![A-Za-z)\]}}])(\d?)([{_VULGAR}])(?![\^!{_RAISED}])")
_SCRIPTS = re.compile(rf"(?P<up>[{_RAISED}]+)|(?P<down>[{_LOWERED}]+)|[^\D0-9]")

_SYMBOLS = dict(
    [
        *(("×", r"\times "), ("÷", r"\div "), ("·", r"\cdot "), ("⋅", r"\cdot "), ("π", r"\pi "), ("θ", r"\theta ")),
        *(("≤", r"\le "), ("≥", r"\ge "), ("≠", r"\ne "), ("≈", r"\approx "), ("∪", r"\cup "), ("∩", r"\cap ")),
        *(("∈", r"\in "), ("∞", r"\infty "), ("∅", r"\emptyset "), (r"\varnothing", r"\emptyset "), ("±", r"\pm ")),
        *(("ℝ", r"\mathbb{R}"), ("**", "^"), ("{,}", ","), (r"\thinspace", " ")),
        *((r"\displaystyle", " "), (r"\textstyle", " ")),
    ]
)
_SYMBOL = re.compile("|".join(map(re.escape, _SYMBOLS)))
_DECIMAL_COMMA = re.compile(r"(?<=\d)\{,\}(?=(?:\d{1,2}|\d{4,30})(?![\d{.]))")
"""`3{,}5` is written so that LaTeX sets a decimal comma; three digits are thousands."""
_NAMES = {"pi": r"\pi ", "sqrt": r"\sqrt", "infinity": r"\infty ", "infty": r"\infty "}
_NAME = re.compile(r"(?<![\\A-Za-z])(pi|sqrt|infinity|infty)(?![A-Za-z])")
_FURNITURE = re.compile(r"\\(?:left|right)(?![A-Za-z])\.?|(?<!\\)\\!")
_SPACE = re.compile(r"(?<!\\)\\[,;: ]|~|\\q?quad(?![A-Za-z])")
_ROOT = re.compile(r"√\s*(?:(\d+)|\(([^()]*)\)|\{([^{}]*)\})|\\sqrt\s*\(([^()]*)\)")
_TIMES_TEN = re.compile(r"(?<=\d)\s*[xX]\s*(?=10\s*\^)")
_DEGREES = re.compile(
    r"(\\(?:sin|cos|tan|cot|sec|csc)\s*[({]?\s*)(\d{1,4}(?:\.\d{1,9})?)\s*(?:\^\s*\{?\s*\\circ\s*\}?|°)"
)
_ROUGHLY = re.compile(r"^\s*(?:\\approx|\\sim(?:eq)?(?![a-z]))\s*")
_LABEL = re.compile(r"^\\(?:text|mathrm|textrm|textbf|mathbf|boldsymbol|bm|mbox)\{([^{}]*)\}$")
_RECURRING = re.compile(r"^(-?\d{0,20}\.\d{0,20}?)(\d)\2{2,20}\s*(?:\.{3}|…|\\[lc]?dots)$")
_DOLLAR = re.compile(r"(?<!\\)\$")
_DOUBLED = re.compile(r"(?<!\\)\{\s*\{([^{}]*)(?<!\\)\}\s*\}")
_BUILDER = re.compile(r"^\\\{\s*([a-zA-Z])\s*(?:\\mid|\\vert|[|:])\s*(?=[^{}]*\1)([^{}]*)\\\}$")


def characters(text: str) -> str:
    """Normalises the characters of a text, in time linear in the text."""
    if text.isascii():
        return text
    text = text.translate(_TABLE)
    text = _VULGAR_FRACTION.sub(lambda found: (found[1] and found[1] + " ") + _expand_fraction(found[2]), text)
    return _SCRIPTS.sub(_expand_script, text)


def latex(text: str) -> str:
    """Normalises the LaTeX of one expression after `characters`, without its dollars and its final full stop."""
    text = _RECURRING.sub(r"\1\\overline{\2}", enclosed(text.strip()).lstrip("=: "))
    text = known(enclosed(text.rstrip(".").strip()))
    text = _SYMBOL.sub(lambda found: _SYMBOLS[found[0]], _DECIMAL_COMMA.sub(".", text) if "{,}" in text else text)
    text = _SPACE.sub(" ", _FURNITURE.sub("", text))
    text = _NAME.sub(lambda found: _NAMES[found[1]], text)
    text = _ROOT.sub(lambda found: rf"\sqrt{{{next(filter(None, found.groups()), '')}}}", text).replace("√", r"\sqrt")
    text = _DEGREES.sub(r"\1(\2\\cdot\\pi/180)", _TIMES_TEN.sub(r"\\times ", text))
    text = _ROUGHLY.sub("", text).strip()
    label = _LABEL.match(text)
    if label and (any(map(str.isdigit, label[1])) or read_number(label[1]) is not None):
        text = label[1].strip()
    text = _BUILDER.sub(r"\2", text)
    if len(_DOLLAR.findall(text)) % 2 == 0:
        text = _DOLLAR.sub(" ", text)
    while (single := _DOUBLED.sub(r"{\1}", text)) != text:
        text = single
    if re.fullmatch(r"\\?\{\s*\\?\}", text):
        return r"\emptyset"
    if re.fullmatch(r"\{[^{}]*\}", text):
        text = rf"\{{{text[1:-1]}\}}"
    return text.replace("*", r"\cdot ")


def _expand_fraction(character: str) -> str:
    return unicodedata.normalize("NFKC", character).replace("⁄", "/")


def _expand_script(found: re.Match[str]) -> str:
    for group, mark in (("up", "^"), ("down", "_")):
        if found[group]:
            return f"{mark}{{{unicodedata.normalize('NFKC', found[group]).translate(_ALIKE)}}}"
    return str(unicodedata.decimal(found[0]))
