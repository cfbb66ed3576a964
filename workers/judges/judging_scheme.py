"""How one request becomes prompts, and what is read after them one judgement.

- Ground truth: one prompt.
- Best-of-N references: one prompt a reference, the first `references` of them, scores averaged. With `both_orders` two
  prompts a reference, one in each order, and s = (P(candidate wins) + 1 - P(reference wins)) / 2, in which a
  preference for a place cancels out. Where the two orders name different winners, the verdict has flipped.
- Three verdicts: s = P(CORRECT) / (P(CORRECT) + P(INCORRECT) + P(INVALID)), so that what is invalid earns nothing.

Invariant: `tag` names everything here that can change a score; it is part of the judge's version.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from workers.judges.base import Judgement, JudgeRequest
from workers.judges.prompt import PROMPT_VERSIONS, Ask, PromptForm, Task, single
from workers.judges.verdicts import CORRECTNESS, PREFERENCE, YES_NO, Reading, Scale

RESPONSE_CHARACTERS = 32_000
"""A field longer than this loses its middle: about 8k tokens, and three such fields fit into 32k."""

ORDERS, FLIPS, INVALID = "orders", "flips", "invalid"
"""In a judgement's details: [P(candidate wins), P(reference wins)] a reference; how many of them flipped; the third
verdict's share."""


@dataclass(frozen=True, slots=True)
class Voting:
    votes: int
    temperature: float
    max_tokens: int


@dataclass(frozen=True, slots=True)
class JudgeForm:
    prompt: PromptForm = PromptForm.SHORT
    verdicts: int = 2
    both_orders: bool = False
    references: int = 1
    voting: Voting | None = None
    rubrics: Mapping[str, str] = field(default_factory=dict)
    """By domain."""
    characters: int = RESPONSE_CHARACTERS

    @property
    def room(self) -> int | None:
        """Characters of a field; the short form is cut by tokens only, as in training."""
        return None if self.prompt is PromptForm.SHORT else self.characters

    @property
    def scales(self) -> tuple[Scale, ...]:
        """All that its prompts ask on."""
        return (YES_NO,) if self.verdicts == len(YES_NO.words) else (CORRECTNESS, PREFERENCE)

    @property
    def tag(self) -> str:
        """`p1-short` for the plain short form; whatever differs from the plain form follows."""
        parts = [f"p{PROMPT_VERSIONS[self.prompt]}-{self.prompt}"]
        parts += [f"{self.verdicts}verdicts"] if self.verdicts != len(YES_NO.words) else []
        parts += ["both"] if self.both_orders else []
        parts += [f"mean{self.references}"] if self.references > 1 else []
        parts += [f"votes{self.voting.votes}-{_digest(_fields(self.voting))}"] if self.voting else []
        parts += [f"rubrics-{_digest(dict(self.rubrics))}"] if self.rubrics else []
        parts += [f"cut{self.characters}"] if self.room is not None and self.room != RESPONSE_CHARACTERS else []
        return "-".join(parts)

    def asks(self, request: JudgeRequest) -> list[Ask]:
        """The prompts of one request; two in a row are one pair where both orders are asked. Raises ValueError."""
        first = self._styled(single(request, self.prompt), request)
        if first.task is Task.FACT:
            return [first]
        asks = [replace(first, shown=text) for text in request.question.references[: self.references]]
        return [order for ask in asks for order in self._orders(ask)] if self.both_orders else asks

    def judgement(self, asks: Sequence[Ask], readings: Sequence[Reading]) -> Judgement:
        """From the readings after `asks`, all usable."""
        paired = self.both_orders and asks[0].task is not Task.FACT
        uncovered = max(reading.uncovered for reading in readings)
        details: dict[str, Any] = {}
        if asks[0].scale.words != YES_NO.words:
            own = readings[::2] if paired else readings  # in the other order the first response is the reference
            details[INVALID] = _mean([reading.invalid or 0.0 for reading in own])
        if not paired:
            score = _mean([reading.score for reading in readings])
            return Judgement(score, uncovered, "; ".join(map(str, readings)), details)
        orders = [(one.score, other.score) for one, other in _pairs(readings)]
        details |= {ORDERS: [list(pair) for pair in orders], FLIPS: sum(map(_flipped, orders))}
        why = "; ".join(f"P(candidate wins) {won:.4f}, P(reference wins) {lost:.4f}" for won, lost in orders)
        return Judgement(_mean([(won + 1 - lost) / 2 for won, lost in orders]), uncovered, why, details)

    def _styled(self, ask: Ask, request: JudgeRequest) -> Ask:
        three = CORRECTNESS if ask.task is Task.FACT else PREFERENCE
        return replace(
            ask,
            scale=YES_NO if self.verdicts == len(YES_NO.words) else three,
            rubric=self.rubrics.get(request.domain, ""),
            reasoned=self.voting is not None,
        )

    def _orders(self, ask: Ask) -> tuple[Ask, Ask]:
        """The candidate asked about, then the reference. The short form's judge knows one wording: the roles change."""
        swapped = replace(ask, shown=ask.response, response=ask.shown)
        if self.prompt is PromptForm.SHORT:
            return ask, swapped
        return replace(swapped, task=Task.PAIR), replace(ask, task=Task.PAIR)


def _pairs(readings: Sequence[Reading]) -> list[tuple[Reading, Reading]]:
    return list(zip(readings[::2], readings[1::2], strict=True))


def _flipped(order: tuple[float, float]) -> bool:
    """Both won, or both lost, when they were asked about: the place decided."""
    won, lost = order
    return (won > 0.5) == (lost > 0.5)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _fields(voting: Voting) -> dict[str, float]:
    return {"votes": voting.votes, "temperature": voting.temperature, "max_tokens": voting.max_tokens}


def _digest(value: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:8]
