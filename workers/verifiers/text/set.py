"""Sets and lists: the response's items against the reference's.

Invariant: right means the same items, each as often as the policy says and, for lists, in the same order. A text that
can be read in several ways is right where one of them is the reference; nothing may be left over in any.
"""

import json
import re
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from streams.messages import Question, Status
from workers.verifiers.answers.final_answer import HEDGE, NoAnswerError, clean, unwrapped
from workers.verifiers.answers.lists import MAX_ITEMS, key_of, readings
from workers.verifiers.answers.reasoning import after_reasoning
from workers.verifiers.answers.retractions import standing
from workers.verifiers.base import OptionsError, Signed, Verdict

_DUPLICATES = ("auto", "ignore", "count", "refuse")
_INTRODUCTION = re.compile(r"^[^\n{}\[\]]{0,300}?(?::|=|\bare\b|\bis\b|\binclude\b|∈)\s*(?=\S)", re.IGNORECASE)
_GROUP = re.compile(r"\\?\{[^{}]*\\?\}|\[[^\[\]]*\]|∅|\\(?:emptyset|varnothing)(?![A-Za-z])")
_DOUBT = re.compile(r"\b(?:or|not|nor|except|but)\b|n't\b|\?", re.IGNORECASE)


class SetVerifier(Signed):
    name = "set"
    version = "2"
    policy = (
        "Only what stands after the reasoning block counts. Every \\boxed{}, <answer> and `the answer is ...` must "
        "hold the reference's items; without any, the whole text must: as {..}, [..], (..), JSON, bullets, lines, or "
        "`a, b and c`, with at most an introduction before it (`The primes are 2, 3 and 5`). Items are compared as "
        "numbers by value, else as text without case and articles. Extra, missing, hedged, denied and "
        "contradictory items are wrong."
    )
    options: ClassVar[Mapping[str, str]] = {
        "ordered": "true: the order counts, and so does every repetition (default false)",
        "duplicates": "of unordered items: ignore, count or refuse; auto (default) counts if the reference has some",
        "separators": 'the characters that separate items (default ",;" and new lines; `and` too, where it fits)',
        "case_sensitive": "true: case counts (default false)",
    }

    def verify(self, question: Question, response: str) -> Verdict:
        try:
            comparison = _Comparison(question.options)
            golds = comparison.golds(question.ground_truth)
        except OptionsError as error:
            return self._refused(error)
        try:
            answers = committed(after_reasoning(response))
        except NoAnswerError as error:
            return self._verdict(0.0, Status.UNPARSEABLE, str(error))
        for answer in answers:
            if not comparison.agrees(golds, answer):
                return self._verdict(0.0, Status.WRONG, f"{answer[:80]!r} is not {question.ground_truth!r:.80}")
        return self._verdict(1.0, Status.CORRECT, f"{answers[-1][:80]!r} has the reference's items")


class _Comparison:
    """Raises OptionsError."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.ordered = bool(options.get("ordered", False))
        self.case_sensitive = bool(options.get("case_sensitive", False))
        self.separators = options.get("separators", ",;\n")
        self.duplicates = options.get("duplicates", "auto")
        if self.duplicates not in _DUPLICATES:
            raise OptionsError(f"option duplicates must be one of {', '.join(_DUPLICATES)}, not {self.duplicates!r}")
        if not isinstance(self.separators, str) or not self.separators or re.search(r"[\w(){}\[\]]", self.separators):
            raise OptionsError(f"option separators must be punctuation, not {self.separators!r}")

    def golds(self, reference: Any) -> list[list[Hashable]]:
        """The reference's readings; a JSON list has one. Raises OptionsError."""
        items = _json_list(reference) if isinstance(reference, str) else None
        if items is not None:
            return [[self._key(item if isinstance(item, str) else json.dumps(item)) for item in items]]
        if not isinstance(reference, str) or not reference.strip() or len(reference) > 100_000:
            raise OptionsError("the ground truth is no list; give a JSON list or items between separators")
        return [found] if (found := next(self._keys(reference), None)) is not None else []

    def agrees(self, golds: Sequence[Sequence[Hashable]], answer: str) -> bool:
        return any(self._same(gold, keys) for keys in self._keys(answer) for gold in golds)

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


def committed(text: str) -> list[str]:
    """Texts that each give all items. Raises NoAnswerError."""
    text = clean(text)
    if not text:
        raise NoAnswerError("nothing stands after the reasoning")
    boxes, statements = standing(text)
    texts = [place.text for place in statements if "\\boxed" not in place.text and "<answer" not in place.text]
    if boxes:
        return [place.text for place in boxes] + [own for own in texts if _GROUP.search(own)]
    return [_stripped(own) for own in texts] if texts else _of_text(text)


def _of_text(text: str) -> list[str]:
    """Raises NoAnswerError."""
    groups = list(_GROUP.finditer(text))
    outside = _GROUP.sub(" ", text)
    if len(groups) == 1 and outside.strip(" .$") and not re.search(r"[{}\[\]]", outside):
        if HEDGE.search(outside) or _DOUBT.search(outside):
            raise NoAnswerError("the answer is hedged")
        return [groups[0].group()]
    introduction = _INTRODUCTION.match(text)
    if introduction and not groups:
        if HEDGE.search(introduction.group()) or _DOUBT.search(introduction.group()):
            raise NoAnswerError("the answer is hedged")
        return [_stripped(text[introduction.end() :])]
    return [_stripped(text)]


def _stripped(text: str) -> str:
    """Without a full stop, and without what follows a closed set in the same statement."""
    text = text.strip()
    group = _GROUP.match(text)
    if group and re.match(r"\s*[.,;]?(?:\s|$)", text[group.end() :]) and not re.search(r"[{\[\d]", text[group.end() :]):
        rest = text[group.end() :]
        return text if HEDGE.search(rest) or _DOUBT.search(rest) else group.group()
    return text.removesuffix(".").strip()


def _json_list(text: str) -> list[Any] | None:
    """None where the text is no JSON list of reasonable size."""
    if not text.lstrip().startswith("[") or len(text) > 100_000:
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, list) and len(found) <= MAX_ITEMS else None
