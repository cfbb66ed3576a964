"""Sets and lists: the response's items against the reference's.

Invariant: right means the same items, each as often as the policy says and, for lists, in the same order. A text that
can be read in several ways is right where one of them is the reference; nothing may be left over in any.
"""

import json
import re
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from streams.messages import Question
from workers.verifiers.answers.grammar import Grammar
from workers.verifiers.answers.lists import MAX_ITEMS, key_of, readings
from workers.verifiers.answers.markup import NoAnswerError, unwrapped
from workers.verifiers.answers.retractions import is_vague
from workers.verifiers.answers.sentences import sentence_before, sentence_end
from workers.verifiers.answers.verifier import POLICY, AnswerVerifier
from workers.verifiers.base import OptionsError, flag

_DUPLICATES = ("auto", "ignore", "count", "refuse")
_INTRODUCTION = re.compile(r"^[^\n{}\[\]]{0,300}?(?::|=|\bare\b|\bis\b|\binclude\b|∈)\s*(?=\S)", re.IGNORECASE)
_BULLET = re.compile(r"[ \t]*(?:[-*•‣·+]|\(?\d{1,3}[.)])[ \t]+\S")
_COURTESY = re.compile(r"\n\n(?:let\s+me\s+know|i\s+hope|please|these\s+are|note|feel\s+free)\b[^\n]*\Z", re.IGNORECASE)
_GROUP = re.compile(r"\\?\{[^{}]*\\?\}|\[[^\[\]]*\]|∅|\\(?:emptyset|varnothing)(?![A-Za-z])")
_DOUBT = re.compile(r"\b(?:or|not|nor|except|but)\b|n't\b|\?", re.IGNORECASE)


class SetVerifier(AnswerVerifier["_Comparison", str]):
    name = "set"
    version = "6"
    policy = (
        f"{POLICY} Without any of them the whole text must be the list: as {{..}}, [..], (..), JSON, bullets, "
        "lines, or `a, b and c`, with at most an introduction before it (`The primes are 2, 3 and 5`). Items are "
        "compared as numbers by value, else as text without case and articles. Extra and missing items are wrong."
    )
    options: ClassVar[Mapping[str, str]] = {
        "ordered": "true: the order counts, and so does every repetition (default false)",
        "duplicates": "of unordered items: ignore, count or refuse; auto (default) counts if the reference has some",
        "separators": 'the characters that separate items (default ",;" and new lines; `and` too, where it fits)',
        "case_sensitive": "true: case counts (default false)",
    }

    def gold(self, question: Question) -> "_Comparison":
        return _Comparison(question.options, question.ground_truth)

    def grammar(self, gold: "_Comparison") -> Grammar[str]:  # noqa: ARG002  a list is one whatever the reference
        return Grammar(_accepted, lambda text, _: text.strip().removesuffix("."), _of_text, free=True, lists=True)

    def fault(self, gold: "_Comparison", value: str) -> str | None:
        return None if gold.agrees(value) else f"{value[:80]!r} is not {gold.reference!r:.80}"


class _Comparison:
    """Raises OptionsError."""

    def __init__(self, options: Mapping[str, Any], reference: str | None) -> None:
        self.reference = reference
        self.ordered = flag(options, "ordered")
        self.case_sensitive = flag(options, "case_sensitive")
        self.separators = options.get("separators", ",;\n")
        self.duplicates = options.get("duplicates", "auto")
        if self.duplicates not in _DUPLICATES:
            raise OptionsError(f"option duplicates must be one of {', '.join(_DUPLICATES)}, not {self.duplicates!r}")
        if not isinstance(self.separators, str) or not self.separators or re.search(r"[\w(){}\[\]]", self.separators):
            raise OptionsError(f"option separators must be punctuation, not {self.separators!r}")
        self._golds = self._read_golds(reference)

    def _read_golds(self, reference: str | None) -> list[list[Hashable]]:
        """The reference's readings; a JSON list has one. Raises OptionsError."""
        items = _json_list(reference) if isinstance(reference, str) else None
        if items is not None:
            return [[self._key(item if isinstance(item, str) else json.dumps(item)) for item in items]]
        if not isinstance(reference, str) or not reference.strip() or len(reference) > 100_000:
            raise OptionsError("the ground truth is not a list; give a JSON list or items between separators")
        return [found] if (found := next(self._keys(reference), None)) is not None else []

    def agrees(self, answer: str) -> bool:
        return any(self._same(gold, keys) for keys in self._keys(answer) for gold in self._golds)

    def _same(self, gold: Sequence[Hashable], keys: Sequence[Hashable]) -> bool:
        if self.ordered:
            return list(gold) == list(keys)
        repeats = len(set(gold)) < len(gold)
        if self.duplicates == "refuse" and len(set(keys)) < len(keys):
            return False
        if self.duplicates == "count" or (self.duplicates == "auto" and repeats):
            return Counter(gold) == Counter(keys)
        return set(gold) == set(keys)

    def _keys(self, text: str) -> Iterator[list[Hashable]]:
        items = _json_list(text)
        if items is not None:
            yield [self._key(item if isinstance(item, str) else json.dumps(item)) for item in items]
        for reading in readings(unwrapped(text), self.separators):
            yield [self._key(item) for item in reading]

    def _key(self, item: str) -> Hashable:
        return key_of(item, case_sensitive=self.case_sensitive)


def _accepted(text: str) -> str | None:
    return _stripped(text) or None


def _of_text(text: str) -> list[str]:
    """Raises NoAnswerError."""
    groups = list(_GROUP.finditer(text))
    outside = _GROUP.sub(" ", text)
    if len(groups) == 1 and outside.strip(" .$") and not re.search(r"[{}\[\]]", outside):
        start, end = groups[0].span()
        own = f"{sentence_before(text, start)} {text[end : sentence_end(text, end) + 1]}"
        if is_vague(own) or _DOUBT.search(own):
            raise NoAnswerError("the answer is hedged")
        return [groups[0].group()]
    introduced = None if groups else _introduced(text)
    if introduced is None:
        return []
    introduction, items = introduced
    if is_vague(introduction) or _DOUBT.search(introduction):
        raise NoAnswerError("the answer is hedged")
    return [_stripped(items)]


def _introduced(text: str) -> tuple[str, str] | None:
    """A line that ends in a colon and the bullets below it that end the text, or a text's `The primes are` and more."""
    lines = _COURTESY.sub("", text).rstrip().split("\n")
    first = len(lines)
    while first and (not lines[first - 1].strip() or _BULLET.match(lines[first - 1])):
        first -= 1
    if 0 < first < len(lines) and lines[first - 1].rstrip().endswith((":", "：")):
        return lines[first - 1], "\n".join(lines[first:])
    introduction = _INTRODUCTION.match(text)
    return None if introduction is None else (introduction.group(), text[introduction.end() :])


def _stripped(text: str) -> str:
    """Without a full stop, and without what follows a closed set in the same statement."""
    text = text.strip()
    group = _GROUP.match(text)
    if group and re.match(r"\s*[.,;]?(?:\s|$)", text[group.end() :]) and not re.search(r"[{\[\d]", text[group.end() :]):
        rest = text[group.end() :]
        return text if is_vague(rest) or _DOUBT.search(rest) else group.group()
    return text.removesuffix(".").strip()


def _json_list(text: str) -> list[Any] | None:
    """Returns None if the text is not a JSON list of reasonable size."""
    if not text.lstrip().startswith("[") or len(text) > 100_000:
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, list) and len(found) <= MAX_ITEMS else None
