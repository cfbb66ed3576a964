"""Selection rounds in the database: read the candidates' statistics, write one decision per prompt.

Round 0 uses the responses of the initial policy (groups labelled `preppo`). Later rounds use the means of the prompts'
posteriors as of the round's version, so that they follow what training has changed since.
"""

import logging
from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import Connection, and_, exists, insert, select, update

from infra.db.models import Group, Prompt, PromptStats, Selection
from infra.db.statistics import posterior
from infra.settings.tree import Settings
from trainer.curriculum import preppo
from trainer.curriculum.group_counts import PRIMARY_ROUTE, primary_scores
from trainer.curriculum.preppo import Decision, SelectionCandidate
from trainer.curriculum.prompt_pool import PoolPrompt, train_prompts

log = logging.getLogger(__name__)

LABEL = "preppo"
_BATCH = 5000
"""Rows per INSERT, so that a million prompts take two hundred round trips."""


def latest_round(connection: Connection, run_id: str) -> tuple[int, int] | None:
    """(round, version) of the run's last selection."""
    row = connection.execute(
        select(Selection.round, Selection.version)
        .where(Selection.run_id == run_id)
        .order_by(Selection.round.desc())
        .limit(1)
    ).one_or_none()
    return None if row is None else (row.round, row.version)


def selected(connection: Connection, run_id: str, round_: int) -> dict[str, list[str]]:
    """Ids of the prompts in training, by domain."""
    rows = connection.execute(
        select(Prompt.domain, Prompt.id)
        .join(Selection, Selection.prompt_id == Prompt.id)
        .where(Selection.run_id == run_id, Selection.round == round_, Selection.selected)
    )
    by_domain: dict[str, list[str]] = defaultdict(list)
    for domain, prompt_id in rows:
        by_domain[domain].append(prompt_id)
    return dict(by_domain)


def select_round(connection: Connection, settings: Settings, round_: int, version: int) -> None:
    """Decides on every prompt of split `train` and writes the round; newly suspicious prompts are quarantined."""
    run_id, preppo_settings = settings.run.id, settings.selector.preppo
    prompts = train_prompts(connection, run_id)
    if preppo_settings.enabled:
        former: dict[str, bool] = {}
        if round_ == 0:
            measured = _candidates_from_assessment(connection, run_id)
        else:
            measured = _candidates_from_statistics(connection, run_id, version, settings.difficulty.decay_per_version)
            former = _former_of_rerouted(connection, run_id, round_ - 1)
        candidates = [
            measured.get(prompt.id) or _unmeasured_candidate(prompt, former=former.get(prompt.id)) for prompt in prompts
        ]
        decisions = preppo.select(candidates, preppo_settings.keep_share, preppo_settings.normalise)
    else:
        decisions = preppo.select_all([_unmeasured_candidate(prompt) for prompt in prompts])
    _write(connection, run_id, round_, version, decisions)
    log.info(
        "selection round=%d version=%d prompts=%d in=%d quarantined=%d",
        round_,
        version,
        len(decisions),
        sum(decision.selected for decision in decisions),
        sum(decision.quarantine for decision in decisions),
    )


def _unmeasured_candidate(prompt: PoolPrompt, *, former: bool | None = None) -> SelectionCandidate:
    return SelectionCandidate(prompt.id, prompt.domain, prompt.origin, quarantined=prompt.quarantined, former=former)


def _candidates_from_assessment(connection: Connection, run_id: str) -> dict[str, SelectionCandidate]:
    """Candidates from the responses of the initial policy to each new prompt."""
    responses: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for row in connection.execute(primary_scores(run_id, LABEL)):
        if row.score is not None:
            responses[row.prompt_id].append((row.score, row.text))
    measured = select(Group.prompt_id).where(Group.run_id == run_id, Group.label == LABEL)
    query = select(Prompt.id, Prompt.domain, Prompt.origin, Prompt.quarantined, Prompt.question)
    return {
        row.id: SelectionCandidate(
            row.id,
            row.domain,
            row.origin,
            scores=tuple(score for score, _ in responses[row.id]),
            answers=tuple(text for _, text in responses[row.id]),
            has_truth=row.question.get("ground_truth") is not None,
            quarantined=row.quarantined,
        )
        for row in connection.execute(query.where(Prompt.id.in_(measured)))
    }


def _candidates_from_statistics(
    connection: Connection, run_id: str, version: int, decay: float
) -> dict[str, SelectionCandidate]:
    """Candidates from the running statistics of the prompt's own route as of `version`, without texts."""
    route = and_(PromptStats.run_id == run_id, PromptStats.prompt_id == Prompt.id, PromptStats.route == PRIMARY_ROUTE)
    statistics = (PromptStats.count, PromptStats.successes, PromptStats.failures, PromptStats.evidence_version)
    query = select(Prompt.id, Prompt.domain, Prompt.origin, Prompt.quarantined, *statistics)
    rows = connection.execute(query.join(PromptStats, route).where(Prompt.split == "train", Prompt.origin == "new"))
    candidates: dict[str, SelectionCandidate] = {}
    for row in rows:
        belief = posterior(row.successes, row.failures, version - row.evidence_version, decay)
        candidates[row.id] = SelectionCandidate(
            row.id,
            row.domain,
            row.origin,
            scores=(belief.mean,),
            basis=f"{belief} at version {version} ({row.count} scores, the newest of version {row.evidence_version})",
            quarantined=row.quarantined,
        )
    return candidates


def _former_of_rerouted(connection: Connection, run_id: str, round_: int) -> dict[str, bool]:
    """Whether that round selected them, for prompts that have statistics, but none of their present route."""
    measured = exists().where(PromptStats.run_id == run_id, PromptStats.prompt_id == Prompt.id)
    query = select(Selection.prompt_id, Selection.selected).join(Prompt, Selection.prompt_id == Prompt.id)
    rows = connection.execute(
        query.where(
            Selection.run_id == run_id,
            Selection.round == round_,
            measured,
            ~measured.where(PromptStats.route == PRIMARY_ROUTE),
        )
    )
    return {row.prompt_id: row.selected for row in rows}


def _write(connection: Connection, run_id: str, round_: int, version: int, decisions: Sequence[Decision]) -> None:
    rows = [
        {
            "run_id": run_id,
            "round": round_,
            "prompt_id": decision.prompt_id,
            "selected": decision.selected,
            "why": decision.why,
            "normalised": decision.normalised,
            "version": version,
        }
        for decision in decisions
    ]
    for start in range(0, len(rows), _BATCH):
        connection.execute(insert(Selection), rows[start : start + _BATCH])
    for decision in decisions:
        if decision.quarantine:
            reason = decision.why.removeprefix("out: ")
            connection.execute(update(Prompt).where(Prompt.id == decision.prompt_id).values(quarantined=reason))
