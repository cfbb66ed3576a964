r"""Rewrites LaTeX that the grammar does not know in terms that it knows: `\frac\pi2`, `\mathrm{e}`, `E_1`, `5{,}525`,
`C_5^2`.

Invariant: the value does not change, and every pattern is linear in the text. A text without a backslash, a brace, a
prime, a factorial or an index is returned as it is.
"""

import re

_UPRIGHT = re.compile(
    r"\\(?:mathrm|mathit|mathbf|textrm|textit|text|rm|operatorname)\s*\{\s*(?:([ei])\s*\}|d\s*\}(?=\s*[a-zA-Z]))"
)
_RM = re.compile(r"\{\s*\\(?:rm|bf|it)\s+([^{}]*)\}")
_GROUPED = re.compile(r"(?<=\d)(?:\{,\}|,\\!|\\,(?=\d{3}(?:\D|$)))(?=\d{3}(?!\d))")
_ARGUMENT_GROUPS = re.compile(r"(?<=\{)\d{1,3}(?:,\d{3}){1,9}(?=\})")
_COMMAND = re.compile(r"\\([dtc]?frac|[dt]?binom|sqrt)(?![A-Za-z])\s*")
_BARE = re.compile(r"\\[A-Za-z]+\s*|[^\s\\{}]")
_DOT = re.compile(r"(?<=\d)\.(?=\s*[/*+\-)}])")
_FACTORIAL_POWER = re.compile(r"(?<![\w.!)\]}])(\d+|[a-zA-Z])(!{1,2})(?=\s*\^)")
_GROUP_FACTORIAL_POWER = re.compile(r"(\([^()]*\))(!{1,2})(?=\s*\^)")
_ENERGY = re.compile(r"(?<![A-Za-z\\])E(?=\s*_)")
_CHOOSE = re.compile(
    r"(?<![A-Za-z\\}])(?:\\(?:mathrm|text|rm)\{C\}|C)\s*"
    r"(?:_\s*\{?\s*(?P<below>\d{1,4})\s*\}?\s*\^\s*\{?\s*(?P<above>\d{1,4})\s*\}?(?!\d)"
    r"|\^\s*\{?\s*(?P<first>\d{1,4})\s*\}?\s*_\s*\{?\s*(?P<second>\d{1,4})\s*\}?(?!\d))"
)
_ANGLE = re.compile(r"\\langle(?![A-Za-z])([^<>|]{1,400}?)\\rangle(?![A-Za-z])")
_NAMED_INDEX = re.compile(
    r"_\s*\{\s*\\(?:max|min|text\s*\{\s*([A-Za-z0-9]{1,12})\s*\}|mathrm\s*\{\s*([A-Za-z0-9]{1,12})\s*\})\s*\}"
)
_SHORT_INDEX = re.compile(
    r"_\s*\\(?:odot|oplus|infty|ast|star|circ|bullet|parallel|perp)(?![A-Za-z])|_\s*\{\s*\\?(?:odot|oplus|ast|star|bullet|\*)\s*\}"
)
_PRIMES = re.compile(r"(?<=[A-Za-z])('{1,3})(?![A-Za-z])|\^\s*\{?\s*((?:\\prime\s*){1,3})\}?")
_ARRAY = re.compile(
    r"(?P<open>\\left\s*[\[(]|[\[(])\s*\\begin\{(?:array|matrix|smallmatrix)\}(?:\s*\{[lcr|\s]{0,20}\})?"
    r"(?P<rows>(?:(?!\\begin|\\end).){0,900}?)\\end\{(?:array|matrix|smallmatrix)\}\s*(?:\\right\s*[\])]|[\])])",
    re.DOTALL,
)
_MATRIX_SPACE = re.compile(r"\\\\(?:\[[^\]]{0,12}\])?\s*(?=\\end)")
_PHANTOM = re.compile(
    r"\\(?:phantom|hphantom|vphantom)\s*(?:\{[^{}]*\}|(?=[-+]))|\\(?:hspace|vspace|tag|label|color)\*?\s*\{[^{}]*\}"
)
_WORDS = {
    "cosec": "csc", "tg": "tan", "ctg": "cot", "arctg": "arctan", "arcctg": "arccot", "sen": "sin",
    "R": "mathbb{R}", "N": "mathbb{N}", "Z": "mathbb{Z}", "Q": "mathbb{Q}", "C": "mathbb{C}",
    "oslash": "emptyset", "O": "emptyset", "lt": "<", "gt": ">", "limits": "", "nolimits": "", "large": "", "Large": "",
    "small": "", "normalsize": "", "bigl": "", "bigr": "", "Bigl": "", "Bigr": "", "biggl": "", "biggr": "",
    "big": "", "Big": "", "bigg": "", "Bigg": "", "middle": "", "allowbreak": "", "nonumber": "", "hfill": "",
    "mspace": "", "enspace": " ", "space": " ", "nobreak": "", "hspace": "",
}  # fmt: skip
_WORD = re.compile(r"\\(" + "|".join(sorted(_WORDS, key=len, reverse=True)) + r")(?![A-Za-z])")
_NAMED = re.compile(
    r"\\operatorname\*?\s*\{\s*(arccot|arcsec|arccsc|arcsin|arccos|arctan|sinh|cosh|tanh|sin|cos|tan|cot|sec|csc|log|ln"
    r"|exp|gcd|max|min|det|arsinh|arcosh|artanh|tg|ctg|arctg|arcctg|cosec)\s*\}"
)
_TOUCHED = re.compile(r"[\\{}'!_]|\d\.")


def known(text: str) -> str:
    """Rewrites the expression in the grammar's terms."""
    if not _TOUCHED.search(text):
        return text
    text = _ARGUMENT_GROUPS.sub(lambda found: found[0].replace(",", ""), _GROUPED.sub("", text))
    text = _RM.sub(r"{\1}", text)
    text = _UPRIGHT.sub(lambda found: found[1] or "d", text)
    text = _WORD.sub(_replace_word, _NAMED.sub(r"\\\1 ", _PHANTOM.sub("", text)))
    text = _spell_indices(_ARRAY.sub(_replace_matrix, text))
    text = _CHOOSE.sub(_replace_binomial, _ANGLE.sub(r"(\1)", text))
    text = _FACTORIAL_POWER.sub(r"(\1\2)", _DOT.sub("", text))
    text = _GROUP_FACTORIAL_POWER.sub(r"(\1\2)", text)
    return braced(_MATRIX_SPACE.sub("", text))


def braced(text: str) -> str:
    r"""Puts the arguments of fractions and roots in braces: `\frac\pi 2`, `\frac{n^2} 4`, `\sqrt2`."""
    parts: list[str] = []
    position = 0
    for command in _COMMAND.finditer(text):
        if command.start() < position:
            continue
        parts.append(text[position : command.start()])
        name = command[1]
        position = command.end()
        parts.append("\\" + name)
        if name == "sqrt" and text.startswith("[", position):
            end = text.find("]", position) + 1
            parts.append(text[position:end])
            position = end or position + 1
        for _ in range(1 if name == "sqrt" else 2):
            argument = _read_argument(text, position)
            if argument is None:
                break
            content, position = argument
            parts.append(f"{{{braced(content)}}}")
    parts.append(text[position:])
    return "".join(parts)


def _read_argument(text: str, position: int) -> tuple[str, int] | None:
    """Returns the command's argument, without its braces, and the position at which it ends; None if there is none."""
    while position < len(text) and text[position] == " ":
        position += 1
    if position < len(text) and text[position] == "{":
        depth = 0
        for end in range(position, len(text)):
            depth += (text[end] == "{") - (text[end] == "}")
            if not depth:
                return text[position + 1 : end], end + 1
        return None
    found = _BARE.match(text, position)
    if found is None or found[0].startswith(("\\frac", "\\sqrt", "\\left", "\\right")):
        return None
    return found[0].strip(), found.end()


def _replace_word(found: re.Match[str]) -> str:
    known_as = _WORDS[found[1]]
    return f"\\{known_as} " if known_as.isalpha() or known_as.startswith("mathbb") else known_as


def _spell_indices(text: str) -> str:
    """Writes indices with letters only, and primes as indices. A capital E with an index is not an exponent."""
    text = _NAMED_INDEX.sub(lambda found: f"_{{{found[1] or found[2] or found[0].strip('_{ }')[1:]}}}", text)
    text = _SHORT_INDEX.sub(lambda found: f"_{{{re.sub(r'[^A-Za-z]', '', found[0]) or 'ast'}}}", text)
    text = _PRIMES.sub(lambda found: "_{" + "prime" * (len(found[1]) if found[1] else found[2].count("p")) + "}", text)
    return _ENERGY.sub(r"\\mathbf{E}", text)


def _replace_matrix(found: re.Match[str]) -> str:
    kind = "bmatrix" if found["open"].endswith("[") else "pmatrix"
    return rf"\begin{{{kind}}}{found['rows']}\end{{{kind}}}"


def _replace_binomial(found: re.Match[str]) -> str:
    """Rewrites `C_5^2` as a binomial coefficient, 10; if the index is smaller than the power, C is a constant."""
    upper, lower = found["below"] or found["first"], found["above"] or found["second"]
    return (
        rf"\binom{{{upper}}}{{{lower}}}"
        if int(upper) >= int(lower) and int(upper) > 1 + bool(found["below"])
        else found[0]
    )
