"""The judge: one judging scheme on one model.

Invariant: there is one answer per request, in order. A request fails if one of its own prompts does, and no other
request with it; responses without content score 0 and no model sees them.
"""

from collections.abc import Iterator, Sequence

from workers.judges.base import JudgeFailure, Judgement, JudgeRequest, JudgeUnavailableError
from workers.judges.has_content import answered, no_answer
from workers.judges.judging_scheme import JudgingScheme
from workers.judges.model import VerdictModel
from workers.judges.prompt import JudgePrompt
from workers.judges.verdicts import VerdictProbabilities

Answer = Judgement | JudgeFailure


class GenerativeJudge:
    """Implements workers.judges.base.Judge."""

    needs_reference = True

    def __init__(self, model: VerdictModel, scheme: JudgingScheme) -> None:
        self._model = model
        self._scheme = scheme
        self.name = model.name
        self.version = model.version(scheme.tag)

    def judge(self, requests: Sequence[JudgeRequest]) -> list[Answer]:
        requests = [answered(request) for request in requests]
        prompts = [self._scheme.prompts(request) for request in requests]
        empty = [no_answer(request) for request in requests]
        asked = [own for own, why in zip(prompts, empty, strict=True) if why is None]
        answers = self._judge_prompts(asked)
        return [next(answers) if why is None else Judgement(0.0, 0.0, f"no content: {why}") for why in empty]

    def prefix_hit_rate(self) -> float | None:
        return self._model.prefix_hit_rate()

    def close(self) -> None:
        self._model.close()

    def _judge_prompts(self, asked: Sequence[list[JudgePrompt]]) -> Iterator[Answer]:
        """Raises JudgeUnavailableError if an outage left every request without an answer."""
        readings = iter(self._ask_model([prompt for own in asked for prompt in own]))
        found = [self._combine(own, [next(readings) for _ in own]) for own in asked]
        failures = [one for one in found if isinstance(one, JudgeFailure) and one.outage]
        if failures and len(failures) == len(found):
            after = [one.retry_after for one in failures if one.retry_after is not None]
            raise JudgeUnavailableError(failures[0].why, max(after, default=None))
        return iter(found)

    def _ask_model(self, prompts: Sequence[JudgePrompt]) -> list[VerdictProbabilities | JudgeFailure]:
        if not prompts:
            return []
        if self._scheme.voting is not None:
            return self._model.vote(prompts, self._scheme.max_field_chars, self._scheme.voting)
        return self._model.read(prompts, self._scheme.max_field_chars)

    def _combine(self, prompts: Sequence[JudgePrompt], found: Sequence[VerdictProbabilities | JudgeFailure]) -> Answer:
        failures = [one for one in found if isinstance(one, JudgeFailure)]
        if failures:  # report nonsense rather than an outage: waiting does not mend it
            return min(failures, key=lambda failure: failure.outage)
        return self._scheme.judgement(prompts, [one for one in found if isinstance(one, VerdictProbabilities)])
