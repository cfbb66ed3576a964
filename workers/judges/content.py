"""What every judge does before it asks its model: responses without content score 0 and are not shown to it."""

from collections.abc import Callable, Sequence

from workers.judges.base import Judgement, JudgeRequest
from workers.judges.prompt import content_free

Ask = Callable[[Sequence[JudgeRequest]], list[Judgement]]


def judge_content(requests: Sequence[JudgeRequest], ask: Ask) -> list[Judgement]:
    """One judgement a request, in order; `ask` gets those with content, and is not called where there are none."""
    empty = [content_free(request) for request in requests]
    asked = [request for request, why in zip(requests, empty, strict=True) if why is None]
    answers = iter(ask(asked) if asked else [])
    return [next(answers) if why is None else Judgement(0.0, 0.0, f"no content: {why}") for why in empty]


def judgement(yes: float, no: float) -> Judgement:
    """From the probability mass on either side. Raises ZeroDivisionError where there is none."""
    score = yes / (yes + no)
    return Judgement(score, max(0.0, 1.0 - yes - no), f"P(YES) {yes:.4f}, P(NO) {no:.4f}")
