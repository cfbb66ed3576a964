"""Turns one request into prompts, and the verdict probabilities after them into one judgement.

- Ground truth: one prompt.
- Best-of-N references: one prompt per reference, for the first `references` of them; scores are averaged. With
  `both_orders` there are two prompts per reference, one in each order, and
  s = (P(candidate wins) + 1 - P(reference wins)) / 2, in which a preference for a position cancels out. If the two
  orders name different winners, the verdict has flipped.
- Three verdicts: s = P(CORRECT) / (P(CORRECT) + P(INCORRECT) + P(INVALID)), so that an invalid response earns nothing.

Invariant: `tag` names everything here that can change a score; it is part of the judge's version.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from workers.judges.base import Judgement, JudgeRequest
from workers.judges.prompt import PROMPT_VERSIONS, JudgePrompt, JudgeTask, PromptForm, make_prompt
from workers.judges.verdicts import CORRECTNESS, PREFERENCE, YES_NO, Scale, VerdictProbabilities

RESPONSE_CHARACTERS = 32_000
"""A longer field loses its middle. This is about 8k tokens, and three such fields fit into 32k."""

ORDERS, FLIPS, INVALID = "orders", "flips", "invalid"
"""Keys in a judgement's details: [P(candidate wins), P(reference wins)] per reference; the number of flips; the
probability of the third verdict."""


@dataclass(frozen=True, slots=True)
class Voting:
    votes: int
    temperature: float
    max_tokens: int


@dataclass(frozen=True, slots=True)
class JudgingScheme:
    prompt: PromptForm = PromptForm.SHORT
    verdicts: int = 2
    both_orders: bool = False
    references: int = 1
    voting: Voting | None = None
    rubrics: Mapping[str, str] = field(default_factory=dict)
    """Rubric texts by domain."""
    characters: int = RESPONSE_CHARACTERS

    @property
    def max_field_chars(self) -> int | None:
        """Longest field, in characters; None for the short form, which is cut by tokens only, as in training."""
        return None if self.prompt is PromptForm.SHORT else self.characters

    @property
    def scales(self) -> tuple[Scale, ...]:
        """All scales that its prompts use."""
        return (YES_NO,) if self.verdicts == len(YES_NO.words) else (CORRECTNESS, PREFERENCE)

    @property
    def tag(self) -> str:
        """Returns `p1-short` for the plain short form; each option that differs from the plain form is appended."""
        parts = [f"p{PROMPT_VERSIONS[self.prompt]}-{self.prompt}"]
        parts += [f"{self.verdicts}verdicts"] if self.verdicts != len(YES_NO.words) else []
        parts += ["both"] if self.both_orders else []
        parts += [f"mean{self.references}"] if self.references > 1 else []
        parts += [f"votes{self.voting.votes}-{_digest(_voting_fields(self.voting))}"] if self.voting else []
        parts += [f"rubrics-{_digest(dict(self.rubrics))}"] if self.rubrics else []
        parts += (
            [f"cut{self.characters}"]
            if self.max_field_chars is not None and self.max_field_chars != RESPONSE_CHARACTERS
            else []
        )
        return "-".join(parts)

    def prompts(self, request: JudgeRequest) -> list[JudgePrompt]:
        """Returns the prompts of one request; with both orders, two consecutive ones are a pair. Raises ValueError."""
        first = self._with_scale_and_rubric(make_prompt(request, self.prompt), request)
        if first.task is JudgeTask.FACT:
            return [first]
        prompts = [replace(first, shown=text) for text in request.question.references[: self.references]]
        return [order for prompt in prompts for order in self._both_orders(prompt)] if self.both_orders else prompts

    def judgement(self, prompts: Sequence[JudgePrompt], readings: Sequence[VerdictProbabilities]) -> Judgement:
        """Combines the verdict probabilities after `prompts`, all usable, into a judgement."""
        paired = self.both_orders and prompts[0].task is not JudgeTask.FACT
        off_verdict_mass = max(reading.off_verdict_mass for reading in readings)
        details: dict[str, Any] = {}
        if prompts[0].scale.words != YES_NO.words:
            own = readings[::2] if paired else readings  # in the other order, the verdict is about the reference
            details[INVALID] = _mean([reading.invalid or 0.0 for reading in own])
        if not paired:
            score = _mean([reading.score for reading in readings])
            return Judgement(score, off_verdict_mass, "; ".join(map(str, readings)), details)
        orders = [(one.score, other.score) for one, other in _pair_up(readings)]
        details |= {ORDERS: [list(pair) for pair in orders], FLIPS: sum(map(_is_flipped, orders))}
        why = "; ".join(f"P(candidate wins) {won:.4f}, P(reference wins) {lost:.4f}" for won, lost in orders)
        return Judgement(_mean([(won + 1 - lost) / 2 for won, lost in orders]), off_verdict_mass, why, details)

    def _with_scale_and_rubric(self, prompt: JudgePrompt, request: JudgeRequest) -> JudgePrompt:
        three = CORRECTNESS if prompt.task is JudgeTask.FACT else PREFERENCE
        return replace(
            prompt,
            scale=YES_NO if self.verdicts == len(YES_NO.words) else three,
            rubric=self.rubrics.get(request.domain, ""),
            reasoned=self.voting is not None,
        )

    def _both_orders(self, prompt: JudgePrompt) -> tuple[JudgePrompt, JudgePrompt]:
        """Asks about the candidate, then about the reference. The short form's judge knows one wording, so there the
        two change roles.
        """
        swapped = replace(prompt, shown=prompt.response, response=prompt.shown)
        if self.prompt is PromptForm.SHORT:
            return prompt, swapped
        return replace(swapped, task=JudgeTask.PAIR), replace(prompt, task=JudgeTask.PAIR)


def _pair_up(readings: Sequence[VerdictProbabilities]) -> list[tuple[VerdictProbabilities, VerdictProbabilities]]:
    return list(zip(readings[::2], readings[1::2], strict=True))


def _is_flipped(order: tuple[float, float]) -> bool:
    """Whether both won, or both lost, when asked about: then their position decided."""
    won, lost = order
    return (won > 0.5) == (lost > 0.5)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _voting_fields(voting: Voting) -> dict[str, float]:
    return {"votes": voting.votes, "temperature": voting.temperature, "max_tokens": voting.max_tokens}


def _digest(value: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:8]
