r"""Reads commands of the LaTeX package siunitx: `\SI{9.81}{\metre\per\second\squared}`, `\qty{5}{km}`, `\num{1.2e3}`,
`\ang{30;15;}`.

Invariant: only spelling changes, never a value; commands that are not read stay as they are, and are then not
quantities.
"""

import re

_BRACED = r"\{((?:[^{}]|\{[^{}]{0,20}\}){0,120})\}"
_OPTIONS = r"\s{0,3}(?:\[[^\]]{0,80}\])?\s{0,3}"
_QUANTITY = re.compile(rf"\\(?:SI|qty){_OPTIONS}{_BRACED}\s{{0,3}}(?:\[[^\]]{{0,20}}\])?{_BRACED}")
_UNIT = re.compile(rf"\\(?:si|unit){_OPTIONS}{_BRACED}")
_NUMBER = re.compile(rf"\\num{_OPTIONS}{_BRACED}")
_ANGLE = re.compile(r"\\ang\s{0,3}\{\s*(-?[\d.]{1,20})?\s*(?:;\s*([\d.]{0,20})\s*)?(?:;\s*([\d.]{0,20})\s*)?\}")
_MACRO = re.compile(r"\\([A-Za-z]+)|\{\s*(-?\d)\s*\}|\s+|[.~]|(.)", re.DOTALL)
_PREFIXES = frozenset(
    [
        *("yocto", "zepto", "atto", "femto", "pico", "nano", "micro", "milli", "centi", "deci", "deca", "hecto"),
        *("kilo", "mega", "giga", "tera", "peta", "exa", "zetta", "yotta"),
    ]
)
_FORE = {"per": -1, "square": 2, "cubic": 3}
_BEHIND = {"squared": 2, "cubed": 3}
_MARKS = frozenset(["tothe", "raiseto", "of"])
_NAMES = {
    "degreeCelsius": "°C",
    "celsius": "°C",
    "degree": "°",
    "arcminute": "arcminute",
    "arcsecond": "arcsecond",
    "percent": "%",
    "angstrom": "Å",
    "electronvolt": "eV",
    "astronomicalunit": "au",
    "lightyear": "light_year",
    "atomicmassunit": "dalton",
    "metre": "meter",
    "litre": "liter",
}


def plain_siunitx(text: str) -> str:
    """Rewrites siunitx's commands as numbers and units with powers."""
    if "\\" not in text:
        return text
    text = _QUANTITY.sub(lambda found: f" {_rewrite_number(found[1])} {_rewrite_unit(found[2])}", text)
    text = _UNIT.sub(lambda found: f" {_rewrite_unit(found[1])}", text)
    text = _ANGLE.sub(_rewrite_angle, text)
    return _NUMBER.sub(lambda found: f" {_rewrite_number(found[1])}", text)


def _rewrite_number(content: str) -> str:
    return content.strip().replace("d", "e").replace("D", "e")


def _rewrite_angle(found: re.Match[str]) -> str:
    parts = [
        f"{value} {mark}" for value, mark in zip(found.groups(), ("°", "arcminute", "arcsecond"), strict=True) if value
    ]
    return f" {' '.join(parts)}"


def _rewrite_unit(content: str) -> str:
    r"""Rewrites a unit as factors with powers; `\per` applies to the next factor only."""
    if "\\" not in content:
        return content.replace(".", " ").replace("~", " ")
    factors: list[tuple[str, int]] = []
    prefix, power = "", 1
    for token in _MACRO.finditer(content):
        name = token[1] or ""
        if token[3]:
            return content
        if name in _PREFIXES:
            prefix = name
        elif name in _FORE:
            power *= _FORE[name]
        elif (name in _BEHIND or token[2]) and factors:
            unit, own = factors.pop()
            factors.append((unit, own * (_BEHIND.get(name) or int(token[2]))))
        elif name and name not in _BEHIND and name not in _MARKS:
            factors.append((prefix + _NAMES.get(name, name), power))
            prefix, power = "", 1
    return " ".join(f"{name}^({own})" if own != 1 else name for name, own in factors)
