"""Verdicts on responses from a file, offline, by the scorers of a run.

Invariant: one line out for each line in that is not blank, in order, whatever is in it. A line that cannot be read, or
whose scorer cannot answer, is a verdict with score null that says why, and the lines after it are judged.
"""

import asyncio
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass
from itertools import islice

from infra.settings.tree import Settings
from streams.messages import Purpose, Question, Rollout, Sampling, Status, Timings
from workers.scoring.open_scorer import open_scorer
from workers.scoring.rescore.topics import GENRM, ScorerId
from workers.scoring.retrying import Outage, Scorer
from workers.scoring.score_request import LineError, parse_line
from workers.scoring.scorers import VerifierScorer
from workers.verifiers.base import Verdict
from workers.verifiers.pool.pool import VerifierPool
from workers.verifiers.registry import load_verifier, verifier_names

BATCH = 64
"""Lines in work together; what is read ahead of the verdicts is bounded by it."""


@dataclass(frozen=True, slots=True)
class ScorerInfo:
    name: str
    version: str
    policy: str
    options: dict[str, str]
    """Meanings by name."""


def list_scorers() -> list[ScorerInfo]:
    """The verifiers that are installed, and GenRM."""
    verifiers = [load_verifier(name) for name in verifier_names()]
    found = [ScorerInfo(one.name, one.version, one.policy, dict(one.options)) for one in verifiers]
    policy = (
        "The judge of the settings' genrm section: P(YES) against P(NO). A text as reference is a ground truth, a list "
        "of texts are best-of-N references, best first. Its version comes with its verdicts."
    )
    return [*found, ScorerInfo(GENRM, "", policy, {"domain": "chooses the rubric"})]


def score_lines(lines: Iterable[str | bytes], settings: Settings) -> Iterator[str]:
    """Reads JSON of `{scorer, reference, prompt, response, options}` and yields JSON of `{line, score, status, why,
    scorer, version, seconds}`; `line` counts from 1. Processes start at the first verdict, the judge at the first line
    that asks for it. Not to be called in a running event loop.
    """
    numbered = ((number, line) for number, line in enumerate(lines, start=1) if line.strip())
    with asyncio.Runner() as runner, closing(_Scorers(settings, runner)) as scorers:
        while batch := list(islice(numbered, BATCH)):
            requests = [_request(number, line) for number, line in batch]
            for (number, _), verdict in zip(batch, scorers.verdicts(requests), strict=True):
                yield _line(number, verdict)


class _Scorers:
    """The verifiers' processes and, once it is asked, the judge; all closed together."""

    def __init__(self, settings: Settings, runner: asyncio.Runner) -> None:
        genrm = settings.genrm.model_copy(update={"canary_every": 0})
        self._settings = settings.model_copy(update={"genrm": genrm})
        self._runner = runner
        self._pool = VerifierPool(settings.rtv)
        self._verifiers = VerifierScorer(self._pool)
        self._opened = AsyncExitStack()
        self._judge: Scorer | Verdict | None = None

    def verdicts(self, requests: Sequence[Rollout | Verdict]) -> list[Verdict]:
        """In order; what already is a verdict stays."""
        return self._runner.run(self._verdicts(requests))

    def close(self) -> None:
        self._runner.run(self._opened.aclose())
        self._runner.run(self._pool.close())

    async def _verdicts(self, requests: Sequence[Rollout | Verdict]) -> list[Verdict]:
        found = dict(enumerate(requests))
        for is_judged in (False, True):
            asked = {at: one for at, one in found.items() if isinstance(one, Rollout) and _is_judged(one) == is_judged}
            if asked:
                scorer = await self._open_judge() if is_judged else self._verifiers
                found |= dict(zip(asked, await _answers(scorer, list(asked.values())), strict=True))
        return [verdict for verdict in found.values() if isinstance(verdict, Verdict)]

    async def _open_judge(self) -> Scorer | Verdict:
        """The judge, or the verdict on all that ask for it if it cannot be loaded."""
        if self._judge is None:
            try:
                opened = await self._opened.enter_async_context(open_scorer(ScorerId(GENRM, ""), self._settings))
            except Exception as error:  # noqa: BLE001  whatever a model's files raise is told on each line
                self._judge = _failed(f"the judge cannot be loaded: {error}", GENRM)
            else:
                self._judge = opened.scorer
        return self._judge


async def _answers(scorer: Scorer | Verdict, asked: Sequence[Rollout]) -> Sequence[Verdict]:
    if isinstance(scorer, Verdict):
        return [scorer] * len(asked)
    try:
        answers = await scorer.score(asked)
    except Exception as error:  # noqa: BLE001  no line ends the command
        return [_failed(f"{type(error).__name__}: {error}", one.question.verifier or GENRM) for one in asked]
    return [_failed(one.why, one.scorer, one.version) if isinstance(one, Outage) else one for one in answers]


def _is_judged(rollout: Rollout) -> bool:
    return rollout.question.verifier is None


def _failed(why: str, scorer: str = "", version: str = "") -> Verdict:
    return Verdict(None, Status.INFRA_ERROR, why[:1000], scorer, version)


def _request(number: int, line: str | bytes) -> Rollout | Verdict:
    try:
        question, response = parse_line(line)
    except LineError as error:
        return _failed(str(error))
    return _rollout(number, question, response)


def _rollout(number: int, question: Question, response: str) -> Rollout:
    """Returns the rollout that a scorer would get in a run, without tokens."""
    return Rollout(
        run_id="score",
        group_id=f"score:{number}",
        rollout_id=f"score:{number}/0",
        seq=number,
        prompt_id=str(number),
        domain=str(question.options.get("domain", "")),
        purpose=Purpose.EVAL,
        index=0,
        group_size=1,
        segments=(),
        spans=(),
        finish_reason="stop",
        text=response,
        question=question,
        sampling=Sampling(temperature=0.0, max_new_tokens=0),
        timings=Timings(dispatched=0.0, started=0.0, finished=0.0),
        deadline=0.0,
    )


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
