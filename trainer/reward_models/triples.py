"""Reads triples for judges from dataset files: a question with its reference, a candidate, and whether that is right.

Invariant: a row becomes either triples or a rejection with file, line and reason; no row stops the others.

Columns
    a triple: `prompt`, `question` or `messages`; `ground_truth` (is the candidate as right?), or `reference` or
        `references` (is it better?); `candidate` or `response`; `label`, true or false or a probability; optional
        `domain`
    a preference pair (`trainer.reward_models.preferences`), which becomes two triples: the chosen response is better
        than the rejected one, and the rejected one is not better than the chosen
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from streams.messages import Question
from trainer.prompts.dataset import Rejection
from trainer.prompts.dataset_errors import RowError
from trainer.prompts.dataset_files import raw_rows
from trainer.prompts.row_fields import chat_turns
from trainer.reward_models.preferences import PreferencePair, Turn, parse_pair
from trainer.supervised.genrm import Triple, TripleGroup
from workers.judges.base import JudgeRequest

_PROMPTS = ("prompt", "messages", "question")
_CANDIDATES = ("candidate", "response", "answer")
_LABELS = {"yes": 1.0, "true": 1.0, "correct": 1.0, "no": 0.0, "false": 0.0, "incorrect": 0.0}


@dataclass(frozen=True, slots=True)
class LabelledCandidate:
    question: Question
    """Its prompt is the last user turn, which is what a judge is shown."""
    response: str
    label: float
    """Probability that the response is right, or better than the reference."""
    domain: str = ""
    messages: tuple[Turn, ...] = ()
    """The whole conversation before the response, which a Bradley-Terry model reads."""

    @property
    def request(self) -> JudgeRequest:
        return JudgeRequest(self.question, self.response, self.domain)


@dataclass(slots=True)
class TripleData:
    candidates: list[LabelledCandidate] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)


def read_triples(paths: Iterable[Path]) -> TripleData:
    """Raises DatasetError if a file does not exist, or is neither JSONL nor Parquet."""
    found = TripleData()
    for path in paths:
        for line, raw, shown in raw_rows(path):
            try:
                row = raw() if callable(raw) else raw
                if isinstance(row, Mapping) and "chosen" in row:
                    found.candidates += of_pair(parse_pair(row))
                else:
                    found.candidates.append(parse_triple(row))
            except RowError as error:
                found.rejected.append(Rejection(str(path), line, str(error), shown[:1000]))
    return found


def parse_triple(raw: Any) -> LabelledCandidate:
    """Raises RowError."""
    if not isinstance(raw, Mapping):
        raise RowError(f"expected an object with columns, got {type(raw).__name__}")
    messages = chat_turns(next((raw[name] for name in _PROMPTS if raw.get(name)), None))
    response = next((raw[name] for name in _CANDIDATES if raw.get(name) is not None), None)
    if not isinstance(response, str):
        raise RowError(f"no candidate: expected a text in one of the columns {', '.join(_CANDIDATES)}")
    label, domain = _label(raw.get("label")), str(raw.get("domain") or "")
    return LabelledCandidate(_question(messages, raw), response, label, domain, messages)


def of_pair(pair: PreferencePair) -> tuple[LabelledCandidate, LabelledCandidate]:
    """Both orders of a pair: the chosen response against the rejected one, and the reverse."""
    prompt = pair.messages[-1]["content"]
    better = Question(prompt=prompt, references=(pair.rejected,))
    worse = Question(prompt=prompt, references=(pair.chosen,))
    return (
        LabelledCandidate(better, pair.chosen, 1.0, pair.domain, pair.messages),
        LabelledCandidate(worse, pair.rejected, 0.0, pair.domain, pair.messages),
    )


def swapped(candidate: LabelledCandidate) -> LabelledCandidate | None:
    """The other order: the reference as candidate against the candidate. None against a ground truth, which is not a
    response.
    """
    question = candidate.question
    if question.ground_truth is not None:
        return None
    other = msgspec.structs.replace(question, references=(candidate.response,))
    return replace(candidate, question=other, response=question.references[0], label=1 - candidate.label)


def by_question(candidates: Iterable[LabelledCandidate]) -> list[TripleGroup]:
    """Groups the candidates that share question and reference, in the order of the questions."""
    groups: dict[tuple[str, str, str | None, tuple[str, ...]], list[LabelledCandidate]] = {}
    for one in candidates:
        question = one.question
        key = one.domain, question.prompt, question.ground_truth, question.references
        groups.setdefault(key, []).append(one)
    return [
        TripleGroup(own[0].question, tuple(Triple(one.response, one.label) for one in own), own[0].domain)
        for own in groups.values()
    ]


def _question(messages: tuple[Turn, ...], raw: Mapping[str, Any]) -> Question:
    truth, references = raw.get("ground_truth"), raw.get("references") or raw.get("reference")
    if isinstance(truth, int | float) and not isinstance(truth, bool):
        truth = str(truth)
    if isinstance(references, str):
        references = [references]
    if truth is None and not references:
        raise RowError("nothing to compare with: expected `ground_truth`, `reference` or `references`")
    try:
        return msgspec.convert(
            {"prompt": messages[-1]["content"], "ground_truth": truth, "references": references or []}, Question
        )
    except msgspec.ValidationError as error:
        raise RowError(f"a column has the wrong type: {error}") from error


def _label(value: Any) -> float:
    if isinstance(value, str):
        value = _LABELS.get(value.strip().casefold())
    if isinstance(value, bool | int | float) and 0 <= value <= 1:
        return float(value)
    raise RowError("label must be true or false, yes or no, or a probability in [0, 1]")
