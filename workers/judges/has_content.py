"""What of a response a judge is shown, and the least that it must hold to be shown at all.

Invariant: only what stands after the reasoning counts. What `content_free` names is no answer whatever the question,
unless the ground truth is just that; the judge's training leaves it out as its serving does
(trainer.supervised.genrm).
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
"""Openings without an answer that judges take for one (arXiv 2507.08794)."""


def answered(request: JudgeRequest) -> JudgeRequest:
    """With what stands after the reasoning only, of the response as of the references, which are responses too."""
    question = request.question
    references = tuple(after_reasoning(text) or text for text in question.references)
    if references != question.references:
        question = msgspec.structs.replace(question, references=references)
    return replace(request, question=question, response=after_reasoning(request.response))


def content_free(request: JudgeRequest) -> str | None:
    """Why the response cannot be an answer, or None: it has no letter and no digit, or is only a marker."""
    text = clean(request.response)
    if not any(character.isalnum() for character in text):
        return "no letter and no digit"
    bare = _normalise(text)
    if bare in MARKERS and bare != _normalise(request.question.ground_truth or ""):
        return f"only the marker {bare!r}"
    return None


def no_answer(request: JudgeRequest) -> str | None:
    """Why the response scores 0 without being asked about, or None: it is free of content, or the question again."""
    found = content_free(request)
    if found is not None:
        return found
    bare = _normalise(clean(request.response))
    if bare == _normalise(clean(request.question.prompt)) and bare != _normalise(request.question.ground_truth or ""):
        return "only the question again"
    return None


def _normalise(text: str) -> str:
    """Without case, without what is no letter or digit around it, blanks as one."""
    return " ".join(re.sub(r"[\W_]+$|^[\W_]+", "", text).casefold().replace("’", "'").split())
