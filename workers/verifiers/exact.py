"""Exact match after normalisation, against the ground truth or any of the accepted answers.

Invariant: normalisation forgives form (case, spaces, one pair of surrounding quotes, one final full stop), never
content: a longer answer that contains the right one is wrong.
"""

import re
import unicodedata
from collections.abc import Mapping
from typing import ClassVar

from streams.messages import Question, Status
from workers.verifiers.base import Verdict
from workers.verifiers.text import after_reasoning

_QUOTES = {'"': '"', "'": "'", "“": "”", "‘": "’", "«": "»", "`": "`"}
_ARTICLES = re.compile(r"\b(?:a|an|the)\b\s+(?=\S)", re.IGNORECASE)
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufe0e\ufe0f\ufeff]")
_TYPOGRAPHY = str.maketrans({**dict.fromkeys("\u2010\u2011\u2012\u2013\u2212", "-"), "\u2019": "'", "\u2032": "'"})
"""Hyphens, minus signs and apostrophes, which keyboards and word processors choose."""


def normalise(
    text: str, *, ignore_articles: bool = False, keep_punctuation: bool = False, case_sensitive: bool = False
) -> str:
    text = unicodedata.normalize("NFKC", _INVISIBLE.sub("", text)).translate(_TYPOGRAPHY)
    text = " ".join((text if case_sensitive else text.casefold()).split())
    if not keep_punctuation:
        text = _unquoted(text)
        if text.endswith(".") and not text.endswith(".."):
            text = _unquoted(text[:-1].rstrip())
    if ignore_articles:
        text = _ARTICLES.sub("", text).strip()
    return text


def _unquoted(text: str) -> str:
    if len(text) > 1 and _QUOTES.get(text[0]) == text[-1]:
        return text[1:-1].strip()
    return text


class ExactVerifier:
    name = "exact"
    version = "1"
    policy = (
        "The whole answer after any reasoning block must equal the ground truth or an accepted answer. Case, spaces, "
        "one pair of surrounding quotes and one final full stop do not count; articles do, unless ignore_articles."
    )
    options: ClassVar[Mapping[str, str]] = {
        "accept": "a list of further right answers",
        "ignore_articles": "true: a, an and the do not count (default false)",
        "keep_punctuation": "true: quotes and the final full stop count (default false)",
    }

    def verify(self, question: Question, response: str) -> Verdict:
        options = question.options
        accepted = [question.ground_truth, *options.get("accept", ())]
        flags = {name: bool(options.get(name, False)) for name in ("ignore_articles", "keep_punctuation")}
        golds = {normalise(str(gold), **flags) for gold in accepted if gold is not None} - {""}
        if not golds:
            return self._verdict(
                None, Status.INFRA_ERROR, "the question has no ground truth; set ground_truth or accept"
            )
        answer = normalise(after_reasoning(response), **flags)
        if not answer:
            return self._verdict(0.0, Status.UNPARSEABLE, "the answer is empty")
        if answer in golds:
            return self._verdict(1.0, Status.CORRECT, f"equals {answer!r}")
        return self._verdict(0.0, Status.WRONG, f"{answer[:80]!r} is none of {sorted(golds)[:5]}")

    def _verdict(self, score: float | None, status: Status, why: str) -> Verdict:
        return Verdict(score, status, why, self.name, self.version)
