"""`rewardstream score FILE`: verdicts on responses from a file, without a run.

Invariant: one line out for each line in, in their order; a scorer that cannot answer is a verdict with score null.
"""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from infra.cli.errors import CommandError, ExitCode
from infra.cli.options import Recipe, Set, resolve
from infra.settings.tree import Settings
from streams.messages import Question, Status
from workers.verifiers.base import Verdict

if TYPE_CHECKING:
    from workers.judges.base import Judge

GENRM = "genrm"
_BATCH = 64
"""Lines scored together; their verdicts are printed before the next are read."""


@dataclass(frozen=True, slots=True)
class Asked:
    scorer: str
    question: Question
    response: str


def score(
    *,
    file: Annotated[Path, typer.Argument(help="JSONL of {scorer, reference, prompt, response, options}.")],
    recipe: Recipe = None,
    assignments: Set = None,
) -> None:
    """Score responses, one JSON verdict a line. Scorers: the installed verifiers, and genrm, the judge of settings."""
    settings = resolve(recipe, assignments).settings
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{file} cannot be read: {error}", ExitCode.UNREACHABLE) from error
    asked = [parse(line, f"{file}:{number}") for number, line in enumerate(lines, start=1) if line.strip()]
    asyncio.run(_score_all(settings, asked))


def parse(line: str, where: str) -> Asked:
    """Raises CommandError, which names the line and what is wrong."""
    from workers.verifiers.registry import verifier_names

    try:
        raw = json.loads(line)
    except json.JSONDecodeError as error:
        raise CommandError(f"{where}: not JSON: {error}", ExitCode.USAGE) from error
    wrong = _wrong(raw, verifier_names())
    if wrong:
        raise CommandError(f"{where}: {wrong}", ExitCode.USAGE)
    scorer, reference = raw["scorer"], raw.get("reference")
    question = Question(
        prompt=raw.get("prompt", ""),
        verifier=None if scorer == GENRM else scorer,
        ground_truth=reference if isinstance(reference, str) else None,
        references=tuple(reference) if isinstance(reference, list) else (),
        options=raw.get("options", {}),
    )
    return Asked(scorer, question, raw["response"])


def _wrong(raw: Any, verifiers: Sequence[str]) -> str | None:
    if not isinstance(raw, dict):
        return f"expected an object, got {type(raw).__name__}"
    scorers = [*verifiers, GENRM]
    reference = raw.get("reference")
    as_list = isinstance(reference, list) and all(isinstance(entry, str) for entry in reference)
    checks = {
        f"scorer: {raw.get('scorer')!r} is none of {', '.join(scorers)}": raw.get("scorer") in scorers,
        "response: expected text": isinstance(raw.get("response"), str),
        "prompt: expected text": isinstance(raw.get("prompt", ""), str),
        "options: expected an object": isinstance(raw.get("options", {}), dict),
        "reference: expected text, or a list of texts for genrm": reference is None
        or isinstance(reference, str)
        or (as_list and raw.get("scorer") == GENRM),
    }
    return next((problem for problem, holds in checks.items() if not holds), None)


async def _score_all(settings: Settings, asked: Sequence[Asked]) -> None:
    from workers.verifiers.pool import VerifierPool

    pool = VerifierPool(settings.rtv)
    judge = _judge(settings) if any(item.scorer == GENRM for item in asked) else None
    try:
        for start in range(0, len(asked), _BATCH):
            for verdict in await _score_batch(pool, judge, asked[start : start + _BATCH]):
                print(_line(verdict), flush=True)
    finally:
        await pool.close()
        if judge is not None:
            judge.close()


async def _score_batch(pool: Any, judge: "Judge | None", batch: Sequence[Asked]) -> list[Verdict]:
    """The judge's share in one call, the verifiers' side by side."""
    verified = [item for item in batch if item.scorer != GENRM]
    judged = [item for item in batch if item.scorer == GENRM]
    verdicts = iter(await asyncio.gather(*(pool.verify(item.question, item.response) for item in verified)))
    judgements = iter(_judgements(judge, judged) if judge is not None and judged else ())
    return [next(judgements if item.scorer == GENRM else verdicts) for item in batch]


def _judgements(judge: "Judge", asked: Sequence[Asked]) -> list[Verdict]:
    from workers.judges.base import JudgeRequest, JudgeUnavailableError

    try:
        found = judge.judge([JudgeRequest(item.question, item.response) for item in asked])
    except JudgeUnavailableError as error:
        unavailable = Verdict(None, Status.INFRA_ERROR, str(error), judge.name, judge.version)
        return [unavailable for _ in asked]
    return [Verdict(one.score, Status.JUDGED, one.why, judge.name, judge.version) for one in found]


def _judge(settings: Settings) -> "Judge":
    from workers.judges.factory import build_judge

    return build_judge(settings.genrm)


def _line(verdict: Verdict) -> str:
    return json.dumps(
        {
            "score": verdict.score,
            "status": verdict.status,
            "why": verdict.why,
            "scorer": verdict.scorer,
            "version": verdict.version,
            "seconds": round(verdict.seconds, 4),
        }
    )
