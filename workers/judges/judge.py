"""The judge: one form over one model.

Invariant: one answer a request, in order. A request fails alone when one of its own prompts does; responses without
content score 0 and no model sees them.
"""

from collections.abc import Iterator, Sequence

from workers.judges.base import JudgeFailure, Judgement, JudgeRequest, JudgeUnavailableError
from workers.judges.has_content import answered, no_answer
from workers.judges.judging_scheme import JudgeForm
from workers.judges.model import VerdictModel
from workers.judges.prompt import Ask
from workers.judges.verdicts import Reading

Answer = Judgement | JudgeFailure


class GenerativeJudge:
    """workers.judges.base.Judge."""

    def __init__(self, model: VerdictModel, form: JudgeForm) -> None:
        self._model = model
        self._form = form
        self.name = model.name
        self.version = model.version(form.tag)

    def judge(self, requests: Sequence[JudgeRequest]) -> list[Answer]:
        requests = [answered(request) for request in requests]
        asks = [self._form.asks(request) for request in requests]
        empty = [no_answer(request) for request in requests]
        asked = [own for own, why in zip(asks, empty, strict=True) if why is None]
        answers = self._answers(asked)
        return [next(answers) if why is None else Judgement(0.0, 0.0, f"no content: {why}") for why in empty]

    def prefix_hit_rate(self) -> float | None:
        return self._model.prefix_hit_rate()

    def close(self) -> None:
        self._model.close()

    def _answers(self, asked: Sequence[list[Ask]]) -> Iterator[Answer]:
        """Raises JudgeUnavailableError where nothing was answered for an outage."""
        readings = iter(self._readings([ask for own in asked for ask in own]))
        found = [self._answer(own, [next(readings) for _ in own]) for own in asked]
        failures = [one for one in found if isinstance(one, JudgeFailure) and one.outage]
        if failures and len(failures) == len(found):
            after = [one.retry_after for one in failures if one.retry_after is not None]
            raise JudgeUnavailableError(failures[0].why, max(after, default=None))
        return iter(found)

    def _readings(self, asks: Sequence[Ask]) -> list[Reading | JudgeFailure]:
        if not asks:
            return []
        if self._form.voting is not None:
            return self._model.vote(asks, self._form.room, self._form.voting)
        return self._model.read(asks, self._form.room)

    def _answer(self, asks: Sequence[Ask], found: Sequence[Reading | JudgeFailure]) -> Answer:
        failures = [one for one in found if isinstance(one, JudgeFailure)]
        if failures:  # a nonsensical answer before an outage: it is the one that waiting does not mend
            return min(failures, key=lambda failure: failure.outage)
        return self._form.judgement(asks, [one for one in found if isinstance(one, Reading)])
