"""A decision of a selection round as a sentence, from the numbers that the round stored.

Invariant: every stored decision has a sentence with its numbers, also after the settings have changed, since a round
stores its plan and its cuts.
"""

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, Self

from sqlalchemy import Connection, and_, func, select

from infra.db.models import Prompt, Selection, SelectionCut, SelectionRound
from infra.db.statistics import BetaPosterior
from infra.settings.tree import PrePPOSettings
from trainer.curriculum.rules.base import RankedCandidate
from trainer.curriculum.selection_plan import SelectionPlan


class Reason(StrEnum):
    """Why a prompt is in or out."""

    RULE = "rule"
    """Its rule ranked it; it is in if its value is up to the cut."""
    STALE = "stale"
    """In, to be measured again, although its rule leaves it out."""
    UNSEEN = "unseen"
    """Nothing is known of it on its route; in or out by a draw."""
    ORIGINAL = "original"
    """In: the original set is not filtered."""
    RESTING = "resting"
    """Out: its last groups taught nothing."""
    QUARANTINED = "quarantined"
    """Out: its reference is suspect."""
    OFF = "off"
    """In: the selection is turned off."""
    BEFORE = "before"
    """The decision was made before decisions were stored as numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDecision:
    """A row of `selections`; the numbers are None if nothing was known of the prompt."""

    selected: bool
    reason: Reason
    rule: str | None
    value: float | None
    a: float | None
    b: float | None
    scores: int | None
    age: int | None
    last: float | None
    repeats: int | None

    @classmethod
    def of(cls, row: Any) -> Self:
        """The decision of a row that has its columns among others."""
        values = {field.name: getattr(row, field.name) for field in fields(cls)}
        return cls(**values | {"reason": Reason(row.reason)})


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCut:
    """A row of `selection_cuts`."""

    rule: str
    domain: str
    candidates: int
    kept: int
    cut: float

    @classmethod
    def of(cls, row: Any) -> Self:
        """The cut of a row that has its columns among others."""
        return cls(**{field.name: getattr(row, field.name) for field in fields(cls)})


@dataclass(frozen=True, slots=True)
class ExplainedDecision:
    round: int
    version: int
    selected: bool
    why: str
    numbers: StoredDecision
    cut: StoredCut | None
    """The cut that it was compared with: its rule's, or a quota's."""
    place: int | None
    """Its place from the first among the cut's candidates; None if no rule ranked it."""


def explain_prompt(connection: Connection, run_id: str, prompt_id: str) -> list[ExplainedDecision]:
    """Every decision on the prompt in a run, oldest first."""
    prompt = connection.execute(select(Prompt).where(Prompt.id == prompt_id)).one()
    rounds = connection.execute(
        select(Selection.__table__, SelectionRound.version, SelectionRound.settings)
        .join(SelectionRound, and_(SelectionRound.run_id == Selection.run_id, SelectionRound.round == Selection.round))
        .where(Selection.run_id == run_id, Selection.prompt_number == prompt.number)
        .order_by(Selection.round)
    ).all()
    stored = select(SelectionCut).where(SelectionCut.run_id == run_id, SelectionCut.domain.in_(("", prompt.domain)))
    cuts = {(row.round, row.rule): StoredCut.of(row) for row in connection.execute(stored)}
    explained = []
    for row in rounds:
        decision = StoredDecision.of(row)
        plan = SelectionPlan.stored(row.settings, row.round, row.version) if row.settings else None
        quota = row.reason if row.reason in (Reason.UNSEEN, Reason.STALE) else row.rule
        cut = cuts.get((row.round, quota))
        why = sentence(decision, plan, cut, prompt.origin, prompt.quarantined)
        place = _place(connection, run_id, row.round, decision, cuts.get((row.round, row.rule)))
        explained.append(ExplainedDecision(row.round, row.version, row.selected, why, decision, cut, place))
    return explained


def _place(
    connection: Connection, run_id: str, round_: int, decision: StoredDecision, cut: StoredCut | None
) -> int | None:
    """Prompts with the same value share the first of their places."""
    if decision.value is None or cut is None:
        return None
    before = select(func.count()).select_from(Selection)
    before = before.where(
        Selection.run_id == run_id,
        Selection.round == round_,
        Selection.rule == decision.rule,
        Selection.value < decision.value,
    )
    if cut.domain:
        before = before.join(Prompt, Prompt.number == Selection.prompt_number).where(Prompt.domain == cut.domain)
    return 1 + (connection.scalar(before) or 0)


def sentence(
    decision: StoredDecision, plan: SelectionPlan | None, cut: StoredCut | None, origin: str, quarantined: str | None
) -> str:
    """Explains a decision with its numbers. `plan` is None for a round that stored none."""
    place = "in" if decision.selected else "out"
    told = {
        Reason.ORIGINAL: "an original prompt; the original set is not filtered",
        Reason.QUARANTINED: f"quarantined: {quarantined or 'released since'}",
        Reason.OFF: "Pre-PPO selection is off (selector.preppo.enabled)",
        Reason.BEFORE: "decided before this database stored the numbers of decisions",
        Reason.UNSEEN: f"{origin} and not measured: none of its responses has a score; {_quota(cut)}",
    }
    if decision.reason in told or plan is None:
        return f"{place}: {told[decision.reason]}"
    if decision.reason is Reason.RESTING:
        return f"{place}: {_rest(decision, plan.preppo)}"
    ranked = f"{origin}, {decision.rule}: {_described(decision, plan)}"
    if decision.reason is Reason.STALE:
        return f"{place}: to be measured again; {ranked}; {_quota(cut)}"
    return f"{place}: {ranked}; {_share(cut, plan)}"


def _rest(decision: StoredDecision, preppo: PrePPOSettings) -> str:
    return (
        f"it rests: the last {decision.repeats} scores were all {decision.last:.2f}, which is "
        f"{preppo.rest_after_groups} groups or more without spread; it may come back {preppo.rest_versions} versions "
        f"after the newest of them, which is {decision.age} versions old"
    )


def _described(decision: StoredDecision, plan: SelectionPlan) -> str:
    numbers = {name: getattr(decision, name) for name in ("a", "b", "scores", "age", "last", "value")}
    assert decision.rule is not None
    assert decision.repeats is not None
    without_spread = decision.repeats // plan.context.group_size
    candidate = RankedCandidate(context=plan.context, groups_without_spread=without_spread, **numbers)
    version = plan.context.version
    return (
        f"{plan.rule(decision.rule).describe(candidate)} of {BetaPosterior(candidate.a, candidate.b)} at version "
        f"{version} ({candidate.scores} scores, the newest of version {version - candidate.age})"
    )


def _share(cut: StoredCut | None, plan: SelectionPlan) -> str:
    if cut is None:
        return "the rule admits none"
    where = f" in {cut.domain}" if cut.domain else ""
    kept = f"{cut.kept} of {cut.candidates} are in (keep_share {plan.preppo.keep_share:.0%})"
    return f"the cut{where} is at {cut.cut:.3f}: {kept}"


def _quota(cut: StoredCut | None) -> str:
    if cut is None:
        return "no place is kept for such prompts"
    return f"a draw lets {cut.kept} of {cut.candidates} in (selector.preppo.{cut.rule}_share)"
