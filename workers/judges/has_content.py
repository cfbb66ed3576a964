"""Decides which part of a response a judge is shown, and which responses are shown to no judge.

Invariant: only the text after the reasoning counts. A response for which `content_free` gives a reason answers no
question, unless the ground truth is exactly that text; the judge's training leaves such responses out as its serving
does (trainer.supervised.genrm).
"""

import re
from dataclasses import replace

import msgspec

from workers.judges.base import JudgeRequest
from workers.judges.sanitize import clean
from workers.verifiers.answers.reasoning import after_reasoning

MARKERS = frozenset(
    ["thought process", "let's solve this problem step by step", "solution", "解", "かいせつ", "respuesta"]
)
"""Openings without an answer that judges mistake for an answer (arXiv 2507.08794)."""


def answered(request: JudgeRequest) -> JudgeRequest:
    """Strips the reasoning from the response and from the references, which are responses too."""
    question = request.question
    references = tuple(after_reasoning(text) or text for text in question.references)
    if references != question.references:
        question = msgspec.structs.replace(question, references=references)
    return replace(request, question=question, response=after_reasoning(request.response))


def content_free(request: JudgeRequest) -> str | None:
    """Returns why the response cannot be an answer: it has no letter and no digit, or is only a marker. Else None."""
    text = clean(request.response)
    if not any(character.isalnum() for character in text):
        return "no letter and no digit"
    bare = _normalise(text)
    if bare in MARKERS and bare != _normalise(request.question.ground_truth or ""):
        return f"only the marker {bare!r}"
    return None


def no_answer(request: JudgeRequest) -> str | None:
    """Returns why the response scores 0 unjudged: it is free of content, or repeats the question. Else None."""
    found = content_free(request)
    if found is not None:
        return found
    bare = _normalise(clean(request.response))
    if bare == _normalise(clean(request.question.prompt)) and bare != _normalise(request.question.ground_truth or ""):
        return "only the question again"
    return None


def _normalise(text: str) -> str:
    """Lower-cases, strips all but letters and digits from both ends, and collapses blanks."""
    return " ".join(re.sub(r"[\W_]+$|^[\W_]+", "", text).casefold().replace("’", "'").split())
