"""Changes the route of prompts, and thus their scorer, during a run.

Invariants:
- Groups that were dispatched before keep their question, and with it their scorer. Groups dispatched after the change
  have the new one, since the selector reads a prompt's question when it makes its ticket.
- A prompt that cannot be scored on the new route keeps its old one.
- What was known of a prompt on its old route is prior knowledge on the new one: a quarter of its evidence enters the
  new posterior, in every run that has not scored it there. It forgets like any evidence, and a group of new scores
  outweighs it.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import msgspec
from sqlalchemy import ColumnElement, Connection, bindparam, func, literal, select, update
from sqlalchemy.dialects.postgresql import insert

from infra.db.models import Prompt, PromptStats
from infra.db.statistics import Running
from streams.messages import Question, Route
from streams.route_headers import judgeable, route_of

_BATCH = 5000
"""Rows per UPDATE."""
CARRIED = 0.25
"""Weight of evidence from the other route. A judge and a verifier agree on which prompts are hard, but not on how hard:
a score of 0.5 means as good as the reference to the one, and half right to the other."""
_EVIDENCE = ("successes", "failures", "evidence_version")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRoute:
    """`verifier` sends prompts to RTV; without it they go to GenRM, where the verifier `veto`, if given, has a veto."""

    verifier: str | None = None
    veto: str | None = None

    def __post_init__(self) -> None:
        if self.verifier is not None and self.veto is not None:
            raise ValueError("a veto belongs to GenRM, so it cannot be combined with a verifier")

    def of(self, question: Question) -> Question | None:
        """The question on this route, or None if it cannot be scored there."""
        if self.verifier is None and not judgeable(question):
            return None
        return msgspec.structs.replace(question, verifier=self.verifier, veto=self.veto)


@dataclass(frozen=True, slots=True)
class Rerouted:
    changed: int
    same: int
    """Prompts that were on this route already."""
    unfit: int
    """Prompts without ground truth and references, which GenRM could not judge; they keep their verifier."""


def by_domain(domain: str) -> ColumnElement[bool]:
    return Prompt.domain == domain


def by_id(prefix: str) -> ColumnElement[bool]:
    """Prompts whose ids begin with `prefix`."""
    return Prompt.id.startswith(prefix, autoescape=True)


def reroute(connection: Connection, which: ColumnElement[bool], route: NewRoute) -> Rerouted:
    """Changes the route of the prompts that `which` selects, in either split.

    The rows are locked in the order of their ids until the transaction ends.
    """
    rows = connection.execute(select(Prompt.id, Prompt.question).where(which).order_by(Prompt.id).with_for_update())
    changes: list[dict[str, object]] = []
    moved: dict[Route, list[str]] = {kind: [] for kind in Route}
    same = unfit = 0
    for prompt_id, raw in rows:
        question = msgspec.convert(raw, Question)
        new = route.of(question)
        if new is None:
            unfit += 1
        elif new == question:
            same += 1
        else:
            changes.append({"_id": prompt_id, "_question": msgspec.to_builtins(new)})
            if route_of(new) is not route_of(question):
                moved[route_of(question)].append(prompt_id)
    _write(connection, changes)
    for former, prompt_ids in moved.items():
        _carry(connection, prompt_ids, former)
    return Rerouted(len(changes), same, unfit)


def _write(connection: Connection, changes: Sequence[dict[str, object]]) -> None:
    statement = (
        update(Prompt.__table__)  # type: ignore[arg-type]  # a declarative class's table is a Table
        .where(Prompt.id == bindparam("_id"))
        .values(question=bindparam("_question", type_=Prompt.question.type), rerouted_at=func.now())
    )
    for start in range(0, len(changes), _BATCH):
        connection.execute(statement, changes[start : start + _BATCH])


def _carry(connection: Connection, prompt_ids: Sequence[str], former: Route) -> None:
    """Gives each prompt, on its other route, a part of its evidence of the former one."""
    other = Route.GENRM if former is Route.RTV else Route.RTV
    nothing = {name: literal(value) for name, value in asdict(Running()).items() if name not in _EVIDENCE}
    stats = PromptStats.__table__.c
    carried = {
        "run_id": stats.run_id,
        "prompt_id": stats.prompt_id,
        "route": literal(str(other)),
        "successes": CARRIED * stats.successes,
        "failures": CARRIED * stats.failures,
        "evidence_version": stats.evidence_version,
    } | nothing
    evidence = select(*carried.values()).where(stats.route == str(former))
    for start in range(0, len(prompt_ids), _BATCH):
        batch = prompt_ids[start : start + _BATCH]
        rows = evidence.where(stats.prompt_id.in_(batch))
        connection.execute(insert(PromptStats).from_select(list(carried), rows).on_conflict_do_nothing())
