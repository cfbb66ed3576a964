"""Candidates that fool judges, made from ordinary triples; judges are fitted and measured with them.

Invariant: every negative is wrong for its question: it is left out if it contains the ground truth.
"""

import re

from streams.messages import Question

_SENTENCE = re.compile(r"[.!?:][\"')\]]*(?=\s)|\n")
_FEWEST_WORDS = 3
"""A shorter first sentence may be the answer itself."""


def first_sentence_negative(question: Question, response: str) -> str | None:
    """The first sentence of a longer right response, which announces an answer and gives none (arXiv 2507.08794,
    section 4). None if the response has one sentence, or the first already holds the answer.
    """
    text = response.strip()
    end = _SENTENCE.search(text)
    if end is None or not text[end.end() :].strip():
        return None
    first = text[: end.end()].strip()
    if len(first.split()) < _FEWEST_WORDS or contains_truth(question, first):
        return None
    return first


def contains_truth(question: Question, text: str) -> bool:
    """Whether the ground truth is in the text as whole words, in any case."""
    truth = (question.ground_truth or "").strip().casefold()
    return bool(truth) and re.search(rf"(?<!\w){re.escape(truth)}(?!\w)", text.casefold()) is not None
