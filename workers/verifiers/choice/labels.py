"""The labels of a multiple-choice question, and the reading of a label from text that commits to an answer.

Invariant: a label is read only if it is used as one: `A dog`, `I think`, `B-tree` and letters in words hold none.
Labels outside the choices are read too, so that an answer that gives one is known to give it.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from workers.verifiers.answers.markup import NoAnswerError, unwrapped
from workers.verifiers.answers.normalisation import normalise

MAX_LABELS = 100
MAX_LABEL = 20
"""Most characters of a label; anything longer is a text."""

OPENERS = r"[(\[{\"'“「（]"
CLOSERS = r"[)\]}\"'”」）]"
_LEAD = (
    r"(?:(?:definitely|clearly|certainly|obviously|therefore|thus|indeed|simply|surely|option|choice|letter|answer"
    r"|statement|number|the|it|is|it's|either|both|between|neither|none|definitively|correct|right|best|final|one"
    r"|letra|opción|opção|lettre|la|el|le|選項|选项|项)\b\s*:?\s*|[:=>\s]){0,8}"
)
_CLOSING = ")]}）」"
_JOIN = r"[\s,/&+;.|，、]{0,8}(?:\b(?:and|or|nor|und|oder|et|ou|y|o|as\s+well\s+as|plus|和|或)\b)?\s*"
_AFTER_HEDGE = re.compile(
    r"\W{0,4}(?:maybe|perhaps|possibly|probably|i\s+guess|i\s+suppose|i\s+suspect|likely|or\b)|\W{0,2}\?", re.IGNORECASE
)


_OWN_TEXT = re.compile(
    r"\s+(?!(?:which|because|since|as|i|maybe|perhaps|but|or|and|not|is|it's)\b)[\w$\\\"'][^\n]*?(?=\.\s|\.?\Z|\n)",
    re.IGNORECASE,
)
"""The choice's text, after its label in parentheses."""
_NAMED = re.compile(r"\b(?:option|choice|answer|letter|statement)\s*:?\s*$", re.IGNORECASE)
_ENDS = re.compile(
    r"\s*(?:$|[.:;!?)。，；：！]{1,3}(?:\s|$)|[,—–|(。，]|-\s|\b(?:because|since|due|for|which|given|rather|instead|and\s+(?:\w+\s+)?not)\b|as\b(?!\s+(?:well|a)\b))"
)
"""Matches the text that may follow a label that is not closed by a parenthesis."""


class SeveralError(NoAnswerError):
    """The answer gives more than one label, although one is asked for."""


class HedgedError(NoAnswerError):
    """The answer gives its label with doubt."""


@dataclass(frozen=True, slots=True)
class Label:
    name: str
    """The canonical form, or the label as written if it is not one of the choices."""
    end: int = field(default=0, compare=False)
    """Position at which it ends in the text that it was read from."""


class Labels:
    """The labels of a question, and patterns that find them in a text.

    Raises ValueError if the choices are not a string, a list of labels or a mapping of label to text.
    """

    def __init__(self, choices: Any = "ABCD", texts: Any = None) -> None:
        if isinstance(choices, Mapping):
            choices, texts = list(choices), choices if texts is None else texts
        names = [unicodedata.normalize("NFKC", str(name)).strip() for name in _sequence(choices, "choices")]
        self.names = tuple(name.upper() if len(name) == 1 else name for name in names)
        keys = {_key(name) for name in self.names}
        if not 1 < len(keys) <= MAX_LABELS or len(keys) < len(names) or any(not 0 < len(n) <= MAX_LABEL for n in names):
            raise ValueError(f"choices need 2 to {MAX_LABELS} different labels of 1 to {MAX_LABEL} characters: {names}")
        self._texts = _texts(texts, self.names)
        token = self._token()
        self.wrapped = rf"{OPENERS}{{0,3}}\s{{0,3}}{_start()}(?P<label>{token}){_end()}\s{{0,3}}{CLOSERS}{{0,3}}"
        second = self.wrapped.replace("?P<label>", "?P<second>")
        third = self.wrapped.replace("?P<label>", "")
        self._head = re.compile(rf"{_LEAD}(?P<whole>{self.wrapped})")
        self._head_any_case = re.compile(self._head.pattern, re.IGNORECASE)
        ends = rf"(?=\s*(?:$|[.,;:)!?\]/&+|。，、]|and\b|or\b|nor\b|are\b|{third}))"
        self._more = re.compile(rf"(?P<join>{_JOIN})(?P<whole>{second}){ends}")
        self.negated = re.compile(rf"\s*(?:not|isn't|never)\s+(?:option\s+|choice\s+|the\s+)?{self.wrapped}")

    def name_of(self, label: str) -> str | None:
        """Returns the canonical form; None if it is not one of the choices."""
        return next((name for name in self.names if _key(name) == _key(label)), None)

    def gold(self, text: str) -> str | None:
        """Reads the reference's label from `B`, `(B)`, `b.`, `B) Paris`, or a choice's text; None if there is none."""
        try:
            label = self.read(text)
        except NoAnswerError:
            return None
        return self.name_of(label.name) if label else None

    def read(self, text: str) -> Label | None:
        """Reads the label that a committed text begins with, or the label of the choice whose text it is; None if there
        is none.

        Raises SeveralError, HedgedError.
        """
        given = text
        text = unwrapped(unicodedata.normalize("NFKC", text))
        by_text = self.by_text(text)
        match = self._head.match(text) or self._head_any_case.match(text)
        if match is None or not self._is_label(text, match):
            return None if by_text is None else Label(by_text, len(given))
        rest = text[match.end() :]
        if _AFTER_HEDGE.match(rest) and not (match["whole"].endswith(")") and not rest.lstrip().startswith("?")):
            more = self._more.match(rest)
            raise SeveralError("several labels") if more else HedgedError("the answer is hedged")
        more = self._more.match(rest)
        if more and not self._is_text(match, more):
            raise SeveralError("several labels")
        name = self._checked(match["label"], rest, by_text)
        place = given.find(match["label"])
        end = len(given) if place < 0 else place + len(match["label"])
        if match["whole"].rstrip()[-1:] in _CLOSING and given[end : end + 1] in _CLOSING:
            end += 1
            own_text = _OWN_TEXT.match(given, end)
            end = own_text.end() if own_text else end
        return Label(self.name_of(name) or name, end)

    def is_bare(self, text: str) -> bool:
        """Whether the text is a label and nothing else, in upper or lower case."""
        return re.fullmatch(rf"\s*{self.wrapped}\s*[.:!)]{{0,3}}\s*", unwrapped(text), re.IGNORECASE) is not None

    def by_text(self, text: str) -> str | None:
        """Returns the label of the choice whose text this is, whole or up to the first comma or end of a sentence."""
        if not self._texts:
            return None
        for part in (text, re.split(r"[,;\n]|\.(?=\s)", text, maxsplit=1)[0]):
            found = [name for name, own in self._texts.items() if own == normalise(part, ignore_articles=True)]
            if len(found) == 1:
                return found[0]
        return None

    def _checked(self, label: str, rest: str, by_text: str | None) -> str:
        """Returns `by_text` if the whole text is a choice's, else the label.

        Raises SeveralError if the text after the label is another choice's.
        """
        following = self.by_text(rest.strip().lstrip(".):-–—, ").strip())
        if by_text is not None:
            return by_text
        if following is not None and following != self.name_of(label):
            raise SeveralError(f"the label {label} is followed by the text of {following}")
        return label

    def _is_label(self, text: str, match: re.Match[str]) -> bool:
        """Whether the label does not begin prose. A lower-case label must be all there is, or be in parentheses."""
        label, rest = match["label"], text[match.end() :]
        closed = match["whole"].rstrip()[-1:] in _CLOSING
        lead = text[: match.start("whole")]
        if len(label) == 1 and label.islower():
            named = not re.search(r"\w", lead) or _NAMED.search(lead) is not None
            return closed or (named and re.fullmatch(r"\s*[.:!,)。]?\s*", rest) is not None)
        if closed:
            return True
        if _ENDS.match(rest) or self._more.match(rest) or _AFTER_HEDGE.match(rest):
            return label != "I" or not rest.startswith(",")  # `I, for one, ...`
        return False

    def _is_text(self, first: re.Match[str], more: re.Match[str]) -> bool:
        """Whether the second label is the text of the first, as in `(B) C`: the text of choice B is the letter C."""
        plain = more["whole"].strip() == more["second"]
        return plain and not more["join"].strip() and first["whole"].rstrip().endswith(")")

    def _token(self) -> str:
        if all(len(name) == 1 and name.isalpha() for name in self.names):
            own = "".join(re.escape(name) for name in self.names if not "A" <= name <= "Z")
            return f"[A-Z{own}]"
        if all(name.isdecimal() for name in self.names):
            return r"\d{1,3}"
        return "|".join(re.escape(name) for name in sorted(self.names, key=len, reverse=True))


def _start() -> str:
    return r"(?<![A-Za-z0-9À-ɏ_&.-])(?<![A-Za-z]')"


def _end() -> str:
    return r"(?![A-Za-z0-9À-ɏ_&-]|'[A-Za-z]|[.,][A-Za-z0-9])"


def _key(label: str) -> str:
    return str(int(label)) if label.isdecimal() else label.casefold()


def _sequence(value: Any, name: str) -> Sequence[Any]:
    if not isinstance(value, str | list | tuple):
        raise ValueError(f"{name} must be a string or a list, not {type(value).__name__}")  # noqa: TRY004  one error for options
    return value


def _texts(texts: Any, names: Sequence[str]) -> dict[str, str]:
    """Returns the normalised texts by label. Raises ValueError if they do not fit the labels."""
    if texts is None:
        return {}
    pairs = (
        list(texts.items()) if isinstance(texts, Mapping) else list(zip(names, _sequence(texts, "texts"), strict=True))
    )
    own = {_key(name): name for name in names}
    unknown = [label for label, _ in pairs if _key(str(label)) not in own]
    if unknown:
        raise ValueError(f"texts name labels that are not among the choices: {unknown}")
    return {own[_key(str(label))]: normalise(str(text), ignore_articles=True) for label, text in pairs}
