r"""The regular expressions of JSON Schema, which are ECMA-262's with the flag `u`, as patterns of the `regex` module.

Invariant: a translated pattern matches what the original does: `\d`, `\w` and `\b` are ASCII, `\s` and `.` are ECMA's,
`^` and `$` are the ends of the text, a back-reference to a group that took no part is empty. What the standard refuses
(`\Z`, `\a`, possessive quantifiers, `(?P<name>)`) is refused here. As an exception, an escaped punctuation character
stands for itself, as engines without the flag `u` read it and authors write it.
"""

import re
from functools import lru_cache

import regex

MAX_PATTERN = 10_000
_DIGIT, _WORD = "0-9", "A-Za-z0-9_"
_SPACE = r"\t\n\v\f\r\x20\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
_SETS = {"d": _DIGIT, "w": _WORD, "s": _SPACE}
_CONTROLS = {"t": "\t", "n": "\n", "v": "\v", "f": "\f", "r": "\r"}
_W = f"[{_WORD}]"
_EDGE = f"(?:(?<={_W})(?!{_W})|(?<!{_W})(?={_W}))"
_NO_EDGE = f"(?:(?<={_W})(?={_W})|(?<!{_W})(?!{_W}))"
_COUNT = re.compile(r"\{(\d{1,9})(?:,(\d{0,9}))?\}")
_NAME = re.compile(r"<([^\W\d][\w$\u200c\u200d]*|\$[\w$]*)>")
_PROPERTY = re.compile(r"\{(\^?)(?:(General_Category|gc|Script|sc|Script_Extensions|scx)=)?([A-Za-z0-9_]+)\}")
_SPECIAL = {"Any": r"\x00-\U0010ffff", "ASCII": r"\x00-\x7f"}
_OPENINGS = ("(?:", "(?=", "(?!", "(?<=", "(?<!")


class EcmaPatternError(ValueError):
    """The text is not a pattern of ECMA-262; the message says where."""


@lru_cache(maxsize=1024)
def compile_ecma(pattern: str) -> "regex.Pattern[str]":
    """To be searched, unanchored. Raises EcmaPatternError."""
    if len(pattern) > MAX_PATTERN:
        raise EcmaPatternError(f"a pattern of {len(pattern)} characters is longer than {MAX_PATTERN}")
    translated = _Translation(pattern).translate()
    try:
        return regex.compile(translated, regex.VERSION1)
    except (regex.error, RecursionError, OverflowError) as error:
        raise EcmaPatternError(f"the pattern {pattern[:80]!r} is broken: {error}") from error


class _Translation:
    def __init__(self, pattern: str) -> None:
        self._text = pattern
        self._at = 0
        self._groups = _groups(pattern)
        self._opened = 0
        self._depth = 0

    def translate(self) -> str:
        """Raises EcmaPatternError."""
        found: list[str] = []
        quantifiable = False
        while self._at < len(self._text):
            character = self._text[self._at]
            if character in "*+?" or (character == "{" and _COUNT.match(self._text, self._at)):
                if not quantifiable:
                    raise self._error("nothing to repeat")
                found.append(self._quantifier())
                quantifiable = False
                continue
            piece, quantifiable = self._piece(character)
            found.append(piece)
        if self._depth:
            raise self._error("a group does not close")
        return "".join(found)

    def _piece(self, character: str) -> tuple[str, bool]:
        """The next piece, and whether it can be repeated."""
        if character == "(":
            return self._open(), False
        if character == "[":
            return self._set(), True
        if character == "\\":
            return self._escape()
        self._at += 1
        if character == ")":
            self._depth -= 1
            if self._depth < 0:
                raise self._error("a parenthesis too many")
            return ")", True
        simple = {"|": ("|", False), "^": (r"\A", False), "$": (r"\Z", False), ".": (r"[^\n\r\u2028\u2029]", True)}
        return simple.get(character) or (_literal(character), True)

    def _quantifier(self) -> str:
        count = _COUNT.match(self._text, self._at)
        if count:
            self._at = count.end()
            if count[2] and int(count[2]) < int(count[1]):
                raise self._error("a range of repeats that is out of order")
            text = count.group()
        else:
            text = self._text[self._at]
            self._at += 1
        if self._text.startswith("?", self._at):
            self._at += 1
            text += "?"
        return text

    def _open(self) -> str:
        self._depth += 1
        if not self._text.startswith("(?", self._at):
            self._at += 1
            self._opened += 1
            return "("
        for opening in _OPENINGS:
            if self._text.startswith(opening, self._at):
                self._at += len(opening)
                return opening
        name = _NAME.match(self._text, self._at + 2)
        if name is None:
            raise self._error("an unknown kind of group")
        self._at = name.end()
        self._opened += 1
        return "("

    def _escape(self) -> tuple[str, bool]:
        following = self._text[self._at + 1 : self._at + 2]
        if following in ("b", "B") and following:
            self._at += 2
            return (_EDGE if following == "b" else _NO_EDGE), False
        if following == "k":
            name = _NAME.match(self._text, self._at + 2)
            if name is None or name[1] not in self._groups:
                raise self._error(r"\k names no group")
            self._at = name.end()
            return self._reference(self._groups.index(name[1]) + 1), True
        if following.isdigit() and following != "0":
            digits = re.match(r"\d+", self._text[self._at + 1 : self._at + 10])
            assert digits is not None
            number = int(digits.group())
            if number > len(self._groups):
                raise self._error(f"a reference to group {number} of {len(self._groups)}")
            self._at += 1 + digits.end()
            return self._reference(number), True
        inner, is_set = self._atom()
        return (inner if is_set else _literal(inner)), True

    def _reference(self, number: int) -> str:
        """Empty while its group has taken no part, as one that opens later."""
        return f"(?({number})\\{number}|)" if number <= self._opened else ""

    def _set(self) -> str:
        self._at += 1
        negated = self._text.startswith("^", self._at)
        self._at += negated
        parts: list[str] = []
        while True:
            if self._at >= len(self._text):
                raise self._error("a set does not close")
            if self._text[self._at] == "]":
                self._at += 1
                break
            low, low_is_set = self._member()
            if self._text.startswith("-", self._at) and not self._text.startswith("-]", self._at):
                self._at += 1
                if self._at >= len(self._text):
                    raise self._error("a set does not close")
                high, high_is_set = self._member()
                if low_is_set or high_is_set:  # no range: each stands for itself
                    parts += [low if low_is_set else _literal(low), _literal("-")]
                    parts.append(high if high_is_set else _literal(high))
                elif ord(low) > ord(high):
                    raise self._error("a range that is out of order")
                else:
                    parts.append(f"{_literal(low)}-{_literal(high)}")
            else:
                parts.append(low if low_is_set else _literal(low))
        if not parts:
            return r"[\x00-\U0010ffff]" if negated else "(?!)"
        return f"[{'^' if negated else ''}{''.join(parts)}]"

    def _member(self) -> tuple[str, bool]:
        """A character, or a set in brackets."""
        character = self._text[self._at]
        if character != "\\":
            self._at += 1
            return character, False
        if self._text.startswith(r"\b", self._at):
            self._at += 2
            return "\b", False
        return self._atom()

    def _atom(self) -> tuple[str, bool]:
        """The meaning of an escape, in a set and outside of one alike: a character, or a set in brackets."""
        rest = self._text[self._at + 1 :]
        letter = rest[:1]
        if not letter:
            raise self._error("a backslash at the end")
        if letter.lower() in _SETS:
            self._at += 2
            return f"[{'' if letter.islower() else '^'}{_SETS[letter.lower()]}]", True
        if letter in "pP":
            return self._property(negated=letter == "P"), True
        if letter in _CONTROLS:
            self._at += 2
            return _CONTROLS[letter], False
        coded = re.match(
            r"x([0-9a-fA-F]{2})|u([dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|u([0-9a-fA-F]{4})"
            r"|u\{0{0,9}([0-9a-fA-F]{1,6})\}|c([a-zA-Z])|(0)(?!\d)",
            rest,
        )
        if coded:
            self._at += 1 + coded.end()
            return self._coded(coded), False
        if letter.isalnum() or letter == "_":
            raise self._error(f"the escape \\{letter} is not one of ECMA-262")
        self._at += 2
        return letter, False

    def _coded(self, match: re.Match[str]) -> str:
        byte, pair, unit, point, control, _ = match.groups()
        if pair:
            return bytes.fromhex(pair.replace("\\u", "")).decode("utf-16-be")
        if control:
            return chr(ord(control) % 32)
        number = int(byte or unit or point or "0", 16)
        if number > 0x10FFFF:
            raise self._error("a character beyond U+10FFFF")
        return chr(number)

    def _property(self, *, negated: bool) -> str:
        match = _PROPERTY.match(self._text, self._at + 2)
        if match is None or match[1]:
            raise self._error(r"\p needs a Unicode property in braces")
        self._at = match.end()
        key, name = match[2], match[3]
        if key is None and name in _SPECIAL:
            return f"[{'^' if negated else ''}{_SPECIAL[name]}]"
        if key is None and name == "Assigned":
            return rf"[\{'p' if negated else 'P'}{{Cn}}]"
        return rf"[\{'P' if negated else 'p'}{{{f'{key}={name}' if key else name}}}]"

    def _error(self, what: str) -> EcmaPatternError:
        return EcmaPatternError(f"the pattern {self._text[:80]!r} at {self._at}: {what}")


def _groups(pattern: str) -> list[str]:
    """Names of the capturing groups in order, empty for those without one."""
    found = []
    for match in re.finditer(r"\\.|\[(?:\\.|[^\]\\])*\]|\((\?(?:<(?![=!]))?)?", pattern, re.DOTALL):
        if match.group().startswith("(") and match[1] != "?":
            name = _NAME.match(pattern, match.end() - 1) if match[1] else None
            found.append(name[1] if name else "")
    names = [name for name in found if name]
    if len(set(names)) < len(names):
        raise EcmaPatternError(f"the pattern {pattern[:80]!r} names two groups alike")
    return found


def _literal(character: str) -> str:
    """Escapes that mean the same within a set and outside of it."""
    code = ord(character)
    if character.isascii() and character.isalnum():
        return character
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
