"""Selects which of a run's rollouts a scorer judges again.

Invariant: a rollout is picked at most once, however often it is in the log, and never if it has its new score already.
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
    """The rollouts that are asked for. An empty set excludes nothing."""

    run_id: str
    scorer: str
    """A verifier's name, or `genrm`."""
    domains: frozenset[str] = frozenset()
    purposes: frozenset[Purpose] = frozenset()
    others: bool = False
    """Include prompts of other scorers that have what this one needs."""
    limit: int = 0
    """Number of rollouts to score; the group that reaches it is scored whole. 0 means all."""

    def passed_over(self, rollout: Rollout) -> str | None:
        """Returns why the rollout is not in this selection; None if it is."""
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
    """Picks from the records of `rollouts`, which may come in any order and repeatedly."""

    selection: RescoreSelection
    why_unscorable: Callable[[Rollout], str | None]
    """Returns why the scorer can never score a rollout; None if it can."""
    done: frozenset[str] = frozenset()
    """Ids of rollouts that have their new score already."""
    picked: Counter[str] = field(default_factory=Counter)
    """Number of rollouts picked, by domain."""
    already: Counter[str] = field(default_factory=Counter)
    """Number of rollouts of the selection that are in `done`, by domain."""
    passed_over: Counter[str] = field(default_factory=Counter)
    """Number of rollouts passed over, by reason."""
    unreadable: int = 0
    """Number of records that do not decode; the first stage that read them has set them aside."""
    _seen: set[str] = field(default_factory=set)
    _groups: set[str] = field(default_factory=set)
    """Groups begun, now or earlier: they are scored whole whatever the limit."""

    def __post_init__(self) -> None:
        self._groups.update(rollout_id.rpartition("/")[0] for rollout_id in self.done)

    def pick(self, record: Record) -> Rollout | None:
        """Returns the rollout if it is to be scored now, else None."""
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
