"""Computes held-out results from the scores: one row per domain, and one over all prompts."""

import logging
from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import Connection, Select, and_, func, select, update
from sqlalchemy.dialects.postgresql import insert

from infra.db.models import Evaluation, Group, GuardCheck, Prompt, Score
from infra.metrics import metrics
from infra.settings.evaluation import Skill
from streams.messages import Outcome, Purpose
from trainer.curriculum.group_counts import given_up_groups, primary_scores
from trainer.curriculum.lineages import Lineages
from trainer.evaluation.results import PromptScores, tabulate

log = logging.getLogger(__name__)

_MEAN = "mean"


def evaluate(connection: Connection, run_id: str, label: str, version: int) -> dict[str, float]:
    """The mean over prompts of the mean over a prompt's scored samples, by domain and overall.

    The results are written to the database, with their intervals, and shown as metrics. Rollouts that the scorer could
    not score, and prompts without any score, do not count.
    """
    missing = _unmeasured(connection, run_id, label)
    if missing:
        log.warning("evaluation %s lacks %s: their prompts count with fewer samples, or not at all", label, missing)
    others = _of_other_versions(connection, run_id, label, version)
    if others:
        log.warning("evaluation %s of version %d has %s", label, version, others)
    rows = write_results(connection, run_id, label, version, prompt_scores(connection, run_id, label))
    if not rows:
        log.error("evaluation %s: no held-out rollout has a score", label)
        return {}
    show(connection, run_id)
    means = {str(row["domain"]): float(str(row["mean"])) for row in rows}
    log.info("evaluation %s version=%d %s", label, version, " ".join(f"{k}={v:.3f}" for k, v in means.items()))
    return means


def prompt_scores(connection: Connection, run_id: str, label: str) -> list[PromptScores]:
    """The scores of each prompt that was measured under the label, by prompt id. From them, any result of the
    evaluation can be computed again, and compared prompt by prompt with another's.
    """
    scored = primary_scores(run_id, label).subquery()
    columns = (scored.c.prompt_id, scored.c.domain, Prompt.skill, scored.c.score)
    query = (
        select(*columns)
        .join(Prompt, Prompt.id == scored.c.prompt_id)
        .where(scored.c.score.is_not(None))
        .order_by(scored.c.prompt_id, scored.c.rollout_id)
    )
    found: dict[tuple[str, str, str | None], list[float]] = defaultdict(list)
    for prompt_id, domain, skill, score in connection.execute(query):
        found[prompt_id, domain, skill].append(score)
    return [
        PromptScores(
            prompt_id=prompt_id, domain=domain, skill=None if skill is None else Skill(skill), scores=tuple(scores)
        )
        for (prompt_id, domain, skill), scores in found.items()
    ]


def write_results(
    connection: Connection, run_id: str, label: str, version: int, prompts: Sequence[PromptScores]
) -> list[dict[str, object]]:
    """Writes the mean and its interval by domain and overall; returns the rows that it wrote."""
    rows: list[dict[str, object]] = [
        {
            "run_id": run_id,
            "label": label,
            "domain": row.part.name,
            "version": version,
            "prompts": row.prompts,
            "samples": row.samples,
            "mean": row.metrics[_MEAN].value,
            "low": row.metrics[_MEAN].low,
            "high": row.metrics[_MEAN].high,
        }
        for row in tabulate(prompts, {_MEAN: lambda prompt: prompt.mean})
        if row.part.kind != "skill"
    ]
    if rows:
        statement = insert(Evaluation)
        written = {name: statement.excluded[name] for name in ("version", "prompts", "samples", "mean", "low", "high")}
        keys = ["run_id", "label", "domain"]
        connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=written), rows)
    return rows


def _unmeasured(connection: Connection, run_id: str, label: str) -> str:
    """Groups that were not measured or lack verdicts, as text: `2 expired, 1 failed`."""
    query = select(Group.outcome, func.count()).where(
        Group.run_id == run_id, Group.label == label, Group.outcome != Outcome.FILTERED
    )
    rows = connection.execute(query.group_by(Group.outcome).order_by(Group.outcome))
    found = [f"{count} {outcome}" for outcome, count in rows]
    if lacking := given_up_groups(connection, run_id, label):
        found.append(f"verdicts of {lacking} groups, which the difficulty stage may have set aside as dead letters")
    return ", ".join(found)


def _of_other_versions(connection: Connection, run_id: str, label: str, version: int) -> str:
    """The responses that ended at another version, as text: `12 of 400 responses by versions 11 to 13`."""
    query = (
        select(func.count(), func.min(Score.policy_version), func.max(Score.policy_version))
        .join(Group, and_(Group.group_id == Score.group_id, Group.run_id == run_id, Group.label == label))
        .where(~Score.shadow, Score.score.is_not(None))
    )
    total = connection.execute(query).one()[0]
    others, first, last = connection.execute(query.where(Score.policy_version != version)).one()
    return f"{others} of {total} responses by versions {first} to {last}" if others else ""


def show(connection: Connection, run_id: str) -> None:
    """Sets the metrics of the run's results."""
    query = select(Evaluation.label, Evaluation.domain, Evaluation.mean).where(Evaluation.run_id == run_id)
    for label, domain, mean in connection.execute(query):
        metrics.heldout_score.labels(label, domain).set(mean)


def exists(connection: Connection, run_id: str, label: str) -> bool:
    query = select(Evaluation.label).where(Evaluation.run_id == run_id, Evaluation.label == label).limit(1)
    return connection.scalar(query) is not None


def during_training_label(version: int) -> str:
    """Label of the evaluation that runs concurrently with training at `version`."""
    return f"v{version}"


def pending_labels(connection: Connection, run_id: str) -> list[str]:
    """Labels of evaluations during training that were dispatched and have no result, without abandoned ones."""
    done = select(Evaluation.label).where(Evaluation.run_id == run_id)
    return sorted(connection.scalars(_during_training_labels(run_id).where(Group.label.not_in(done))))


def take_back(connection: Connection, run_id: str, lineages: Lineages) -> list[str]:
    """Sets aside the evaluations during training whose version a later lineage abandoned; returns their labels.

    Their groups and results lose the label, so that the version is measured again when the learner makes it again.
    """
    return [
        label
        for label in connection.scalars(_during_training_labels(run_id)).all()
        if set_aside(connection, run_id, label, lineages, version=int(label[1:]))
    ]


def set_aside(connection: Connection, run_id: str, label: str, lineages: Lineages, version: int | None = None) -> bool:
    """Renames the part of an evaluation that a later lineage took back to `LABEL@LINEAGE`; returns whether there was
    any.

    `version` is the measured version; None means the version at which the groups were dispatched.
    """
    of_label = (Group.run_id == run_id, Group.label == label)
    seen = connection.execute(
        select(Group.dispatched_lineage, Group.dispatched_version).where(*of_label).distinct()
    ).all()
    gone = {lineage for lineage, at in seen if lineages.rewound(lineage, at if version is None else version)}
    for lineage in gone:
        left = update(Group).where(*of_label, Group.dispatched_lineage == lineage)
        connection.execute(left.values(label=_abandoned_label(label, lineage)))
    if gone:
        for table in (Evaluation, GuardCheck):
            result = update(table).where(table.run_id == run_id, table.label == label)
            connection.execute(result.values(label=_abandoned_label(label, max(gone))))
    return bool(gone)


def _abandoned_label(label: str, lineage: int) -> str:
    return f"{label}@{lineage}"


def _during_training_labels(run_id: str) -> Select[str]:
    return (
        select(Group.label)
        .where(Group.run_id == run_id, Group.purpose == Purpose.EVAL, Group.label.regexp_match(r"^v\d+$"))
        .group_by(Group.label)
    )
