"""Which of a run's rollouts a scorer judges again, and how a verifier is asked for prompts of another.

Invariant: a rollout is picked once, however often it lies in the log, and never where its new score is there already.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from streams.codec import DecodeError
from streams.messages import Purpose, Question, Rollout
from streams.records import Record
from streams.validate import decode_rollout
from workers.scoring.rescore.topics import GENRM


@dataclass(frozen=True, slots=True, kw_only=True)
class RescoreSelection:
    """What is asked for. Empty sets leave nothing out."""

    run_id: str
    scorer: str
    """A verifier's name, or `genrm`."""
    domains: frozenset[str] = frozenset()
    purposes: frozenset[Purpose] = frozenset()
    others: bool = False
    """Prompts of another scorer too, where they have what this one needs."""
    limit: int = 0
    """Rollouts to score; the group that reaches it is scored whole. 0 is no bound."""

    def passed_over(self, rollout: Rollout) -> str | None:
        """Why the rollout is not of this selection; None where it is."""
        if self.domains and rollout.domain not in self.domains:
            return "of another domain"
        if self.purposes and rollout.purpose not in self.purposes:
            return "of another purpose"
        return self._why_other_scorer(rollout.question)

    def _why_other_scorer(self, question: Question) -> str | None:
        own = None if self.scorer == GENRM else self.scorer
        if question.verifier == own:
            return None
        if not self.others:
            return f"judged by {question.verifier or GENRM}"
        if own is not None and question.ground_truth is None:
            return "no ground truth for another verifier"
        return None


@dataclass(slots=True)
class RescorePicker:
    """Goes through the records of `rollouts`, in any order, repeated at will."""

    selection: RescoreSelection
    why_unscorable: Callable[[Rollout], str | None]
    """Why the scorer can never score a rollout; None where it can."""
    done: frozenset[str] = frozenset()
    """Rollouts whose new score is there already."""
    picked: Counter[str] = field(default_factory=Counter)
    """By domain."""
    already: Counter[str] = field(default_factory=Counter)
    """Of the selection and in `done`, by domain."""
    passed_over: Counter[str] = field(default_factory=Counter)
    """By reason."""
    unreadable: int = 0
    """Records that do not decode; the stage that met them first has set them aside."""
    _seen: set[str] = field(default_factory=set)
    _groups: set[str] = field(default_factory=set)
    """Begun, now or before: they are scored whole whatever the limit."""

    def __post_init__(self) -> None:
        self._groups.update(rollout_id.rpartition("/")[0] for rollout_id in self.done)

    def pick(self, record: Record) -> Rollout | None:
        """The rollout, where it is to be scored now."""
        try:
            rollout = decode_rollout(record)
        except DecodeError:
            self.unreadable += 1
            return None
        if rollout.run_id != self.selection.run_id or rollout.rollout_id in self._seen:
            return None
        self._seen.add(rollout.rollout_id)
        reason = self.selection.passed_over(rollout) or self.why_unscorable(rollout)
        if reason is None and rollout.rollout_id in self.done:
            self.already[rollout.domain] += 1
            return None
        reason = reason or self._why_beyond_limit(rollout)
        if reason is not None:
            self.passed_over[reason] += 1
            return None
        self._groups.add(rollout.group_id)
        self.picked[rollout.domain] += 1
        return rollout

    def _why_beyond_limit(self, rollout: Rollout) -> str | None:
        full = self.selection.limit and self.picked.total() >= self.selection.limit
        return "beyond the limit" if full and rollout.group_id not in self._groups else None
