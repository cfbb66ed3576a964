"""One line on how a run is, with the reason, and its advisories: alarms before tuning. Pure.

Invariant: the line is never better than the worst thing that is known, and it names that thing.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from infra.advice.advisories import Advisory

Level = Literal["good", "attention", "bad", "over"]

ALARMS = frozenset({"part_away", "scorer_down", "policies_differ", "nothing_trained", "all_zero"})
"""Kinds of advisories under which a run learns nothing or the wrong thing. Any other kind is tuning: the run learns,
and could do so faster."""
_PHASES = {
    "starting": "starting",
    "eval_before": "measuring the held-out prompts before training",
    "preppo": "measuring prompts for the selection (Pre-PPO)",
    "train": "training",
    "drain": "waiting for groups in flight",
    "eval_after": "measuring the held-out prompts after training",
    "finished": "finished",
}
_SEE = {
    "part_away": "loop",
    "scorer_down": "loop",
    "nothing_trained": "open",
    "all_zero": "rollouts?score=zero",
    "all_alike": "rollouts?outcome=filtered",
    "cut_off": "rollouts",
    "scorer_slow": "loop",
    "learner_limits": "loop",
    "engines_idle": "loop",
    "policies_differ": "",
}
"""Kind of advisory -> the view of the page that shows its cause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthLine:
    level: Level
    word: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    kind: str
    alarm: bool
    what: str
    mend: str
    see: str
    """The view that shows the cause, as the page's route; empty if none does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vitals:
    """What the line follows from."""

    phase: str
    live: bool
    """Whether the run's processes are running."""
    version: int
    ended: str = ""
    """Why the stack ended; empty if it is running or nobody wrote it."""
    failed: bool = False
    """Whether the stack ended with an error."""
    not_running: Mapping[str, str] | None = None
    """Service -> its state, of those that are not running although the run is."""
    silent: Collection[str] = ()
    """Running services whose metrics do not answer."""


def phase_words(phase: str) -> str:
    return _PHASES.get(phase, phase)


def notices_of(advice: Sequence[Advisory]) -> list[Notice]:
    """The advisories in their order, alarms first."""
    found = [
        Notice(kind=one.kind, alarm=one.kind in ALARMS, what=one.what, mend=one.mend, see=_SEE.get(one.kind, ""))
        for one in advice
    ]
    return sorted(found, key=lambda notice: not notice.alarm)


def health_of(vitals: Vitals, notices: Sequence[Notice]) -> HealthLine:
    alarm = next((notice for notice in notices if notice.alarm), None)
    if not vitals.live:
        return _ended(vitals, alarm)
    doing = f"{phase_words(vitals.phase)} at version {vitals.version}"
    if vitals.not_running:
        what = ", ".join(f"{name} is {state}" for name, state in sorted(vitals.not_running.items()))
        return HealthLine(level="bad", word="Broken", reason=f"{what}; {doing}")
    if alarm is not None:
        return HealthLine(level="bad", word="Alarm", reason=f"{alarm.what}; {doing}")
    if vitals.silent:
        names = ", ".join(sorted(vitals.silent))
        return HealthLine(level="attention", word="Attention", reason=f"{names} did not answer; {doing}")
    if notices:
        return HealthLine(level="attention", word="Attention", reason=f"{notices[0].what}; {doing}")
    return HealthLine(
        level="good", word="Healthy", reason=f"{doing}; nothing that is measured is outside of its healthy range"
    )


def _ended(vitals: Vitals, alarm: Notice | None) -> HealthLine:
    if vitals.phase != "finished":
        why = f" ({vitals.ended})" if vitals.ended else ""
        where = f"its processes are gone{why}, while it was {phase_words(vitals.phase)} at version {vitals.version}"
        return HealthLine(level="bad", word="Failed" if vitals.failed else "Stopped", reason=where)
    if alarm is not None:
        return HealthLine(level="attention", word="Over", reason=f"finished at version {vitals.version}; {alarm.what}")
    return HealthLine(level="over", word="Over", reason=f"the run finished at version {vitals.version}")
