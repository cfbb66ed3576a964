"""Verdicts on responses from a file, offline, through the same pool and judge as in a run.

Invariant: one line out for each line in that is not blank, in order, whatever is in it. A line that cannot be read is
a verdict with score null that says why, and the lines after it are judged.
"""

import asyncio
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Any

from infra.settings.tree import Settings
from streams.messages import Question, Status
from workers.judges.base import Judge, JudgeFailure, Judgement, JudgeRequest, JudgeUnavailableError
from workers.judges.factory import build_judge
from workers.verifiers.base import Verdict
from workers.verifiers.pool.pool import VerifierPool
from workers.verifiers.registry import load_verifier, verifier_names

GENRM = "genrm"
"""The scorer that is the settings' judge: `reference` is a ground truth, or a list of best-of-N references."""
BATCH = 64
"""Lines in work together; what is read ahead of the verdicts is bounded by it."""


@dataclass(frozen=True, slots=True)
class Scorer:
    name: str
    version: str
    policy: str
    options: dict[str, str]
    """Meanings by name."""


@dataclass(frozen=True, slots=True)
class Asked:
    question: Question
    """Without a verifier where GenRM is asked."""
    response: str


class LineError(ValueError):
    """The line is no request; the message says which field, and what it should be."""


def list_scorers() -> list[Scorer]:
    """The verifiers that are installed, and GenRM."""
    verifiers = [load_verifier(name) for name in verifier_names()]
    found = [Scorer(one.name, one.version, one.policy, dict(one.options)) for one in verifiers]
    policy = (
        "The judge of the settings' genrm section: P(YES) against P(NO). A text as reference is a ground truth, a list "
        "of texts are best-of-N references, best first. Its version comes with its verdicts."
    )
    return [*found, Scorer(GENRM, "", policy, {})]


def score_lines(lines: Iterable[str | bytes], settings: Settings) -> Iterator[str]:
    """JSON of `{scorer, reference, prompt, response, options}` in; `{line, score, status, why, scorer, version,
    seconds}` out, `line` counted from 1. Starts processes at the first verdict, and the judge at the first line that
    asks for it: what loading it raises, this raises (workers.judges.factory). Not to be called in a running event loop.
    """
    numbered = ((number, line) for number, line in enumerate(lines, start=1) if line.strip())
    with asyncio.Runner() as runner, closing(_Scorers(settings, runner)) as scorers:
        while batch := list(islice(numbered, BATCH)):
            requests = [_parsed(line) for _, line in batch]
            for (number, _), verdict in zip(batch, scorers.verdicts(requests), strict=True):
                yield _line(number, verdict)


def parse(line: str | bytes) -> Asked:
    """Raises LineError."""
    try:
        raw = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise LineError(f"not JSON: {error}") from error
    if not isinstance(raw, dict):
        raise LineError(f"expected an object, got {type(raw).__name__}")
    scorer, reference, known = raw.get("scorer"), raw.get("reference"), [*verifier_names(), GENRM]
    if scorer not in known:
        raise LineError(f"scorer: {scorer!r} is none of {', '.join(known)}")
    _check(raw, "response", str, required=True)
    _check(raw, "prompt", str)
    _check(raw, "options", dict)
    if scorer == GENRM and not isinstance(reference, str | list):
        raise LineError("reference: genrm needs a ground truth, or a list of references")
    references = _references(reference) if scorer == GENRM and isinstance(reference, list) else ()
    return Asked(
        Question(
            prompt=raw.get("prompt") or "",
            verifier=None if scorer == GENRM else scorer,
            ground_truth=None if references else _text(reference),
            references=references,
            options=raw.get("options") or {},
        ),
        raw["response"],
    )


class _Scorers:
    """The pool and, once it is asked, the judge; both closed together."""

    def __init__(self, settings: Settings, runner: asyncio.Runner) -> None:
        self._settings = settings
        self._runner = runner
        self._pool = VerifierPool(settings.rtv)
        self._judge: Judge | None = None

    def verdicts(self, requests: Sequence[Asked | Verdict]) -> list[Verdict]:
        """In order; what already is a verdict stays."""
        asked = [one for one in requests if isinstance(one, Asked)]
        verified = iter(self._runner.run(self._verify([one for one in asked if one.question.verifier])))
        judged = iter(self._judged([one for one in asked if not one.question.verifier]))
        return [
            one if isinstance(one, Verdict) else next(verified if one.question.verifier else judged) for one in requests
        ]

    def close(self) -> None:
        self._runner.run(self._pool.close())
        if self._judge is not None:
            self._judge.close()

    async def _verify(self, asked: Sequence[Asked]) -> list[Verdict]:
        return await asyncio.gather(*(self._pool.verify(one.question, one.response) for one in asked))

    def _judged(self, asked: Sequence[Asked]) -> list[Verdict]:
        if not asked:
            return []
        judge = self._judge = self._judge or build_judge(self._settings.genrm, self._settings.run.prepared)
        started = time.perf_counter()
        try:
            found = judge.judge([_judge_request(one) for one in asked])
        except JudgeUnavailableError as error:
            return [Verdict(None, Status.INFRA_ERROR, str(error), judge.name, judge.version)] * len(asked)
        seconds = (time.perf_counter() - started) / len(asked)
        return [_verdict(one, judge, seconds) for one in found]


def _judge_request(asked: Asked) -> JudgeRequest:
    """The option `domain` chooses the rubric."""
    return JudgeRequest(asked.question, asked.response, str(asked.question.options.get("domain", "")))


def _verdict(found: Judgement | JudgeFailure, judge: Judge, seconds: float) -> Verdict:
    if isinstance(found, JudgeFailure):
        return Verdict(None, Status.INFRA_ERROR, found.why, judge.name, judge.version, seconds)
    details = dict(found.details)
    return Verdict(found.score, Status.JUDGED, found.why, judge.name, judge.version, seconds, details)


def _parsed(line: str | bytes) -> Asked | Verdict:
    try:
        return parse(line)
    except LineError as error:
        return Verdict(None, Status.INFRA_ERROR, str(error), "", "")


def _check(raw: dict[str, Any], field: str, kind: type, *, required: bool = False) -> None:
    """Raises LineError."""
    value = raw.get(field)
    if not isinstance(value, kind) and (required or value is not None):
        name = "text" if kind is str else "an object"
        raise LineError(f"{field}: expected {name}, got {json.dumps(value)[:80]}")


def _text(reference: Any) -> str | None:
    """A text as it is, anything else as JSON, as the datasets' columns hold it."""
    return reference if reference is None or isinstance(reference, str) else json.dumps(reference, ensure_ascii=False)


def _references(reference: list[Any]) -> tuple[str, ...]:
    """Raises LineError."""
    if not reference or not all(isinstance(entry, str) for entry in reference):
        raise LineError("reference: a list must hold texts, one at least")
    return tuple(reference)


def _line(number: int, verdict: Verdict) -> str:
    return json.dumps(
        {
            "line": number,
            "score": verdict.score,
            "status": verdict.status,
            "why": verdict.why,
            "scorer": verdict.scorer,
            "version": verdict.version,
            "seconds": round(verdict.seconds, 4),
        }
    )
