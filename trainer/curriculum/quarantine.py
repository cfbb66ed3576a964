"""Quarantine of prompts whose reference is probably wrong.

A low score may mean that the reference is wrong. If a prompt has a ground truth, and nearly all responses agree with
each other but are scored as wrong, the prompt is quarantined until someone checks it. Responses are compared by the
answer that the verifier read in them, so five derivations that end in the same wrong number agree.

The sink's majority vote (`infra.db.statistics`) finds the few prompts in question: if at least four fifths of n
responses give one wrong answer, its votes are at least three fifths of n. Only their scores are then read, and counted.
Every round looks, so a prompt whose responses agree only later is found, too.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from statistics import fmean

from sqlalchemy import Connection, Select, and_, bindparam, func, select, update

from infra.db.models import Group, Prompt, PromptStats, Score
from infra.db.statistics import PASS_ABOVE, SHORT_TEXT, comparable

AGREEMENT = 0.8
"""Fraction of equal responses from which a prompt is suspicious: 4 of 5, so that one different response hides
nothing."""
_MIN_RESPONSES = 3
"""With fewer responses, equal answers are too often a coincidence."""
_VOTES = 2 * AGREEMENT - 1
"""Least votes of an answer that this fraction of the responses gives, as a fraction."""
_ROUNDING = 1e-9
"""2 * 0.8 - 1 is 0.6000000000000001."""
_BATCH = 500
"""Prompts whose scores are in memory."""


def quarantine_suspicious(connection: Connection, run_id: str) -> int:
    """Quarantines new prompts of split `train` that have become suspicious in this run; returns their number."""
    suspects = connection.scalars(_suspects(run_id)).all()
    found = []
    for start in range(0, len(suspects), _BATCH):
        for prompt_id, responses in _responses(connection, run_id, suspects[start : start + _BATCH]).items():
            why = suspicion(responses)
            if why is not None:
                found.append({"_id": prompt_id, "_why": why})
    if found:
        statement = update(Prompt.__table__).where(Prompt.id == bindparam("_id"))  # type: ignore[arg-type]  # a declarative class's table is a Table
        connection.execute(statement.values(quarantined=bindparam("_why")), found)
    return len(found)


def suspicion(responses: Sequence[tuple[float, str | None]]) -> str | None:
    """Why the reference of a prompt may be wrong, or None. `responses` are pairs of score and answer."""
    answer, count = Counter(answer for _, answer in responses).most_common(1)[0] if responses else (None, 0)
    if answer is None or len(responses) < _MIN_RESPONSES or count < AGREEMENT * len(responses):
        return None
    mean = fmean(score for score, given in responses if given == answer)
    if mean >= PASS_ABOVE:
        return None
    return (
        f"suspicious: {count} of {len(responses)} responses agree on {answer!r} and score {mean:.2f} against the "
        "reference; check the reference"
    )


def _suspects(run_id: str) -> Select[str]:
    """Reads the statistics alone, since a join with a million prompts would take half of a round's time."""
    return (
        select(PromptStats.prompt_id)
        .where(PromptStats.run_id == run_id, PromptStats.count >= _MIN_RESPONSES)
        .where(PromptStats.wrong_votes >= _VOTES * PromptStats.count - _ROUNDING)
        .distinct()
        .order_by(PromptStats.prompt_id)
    )


def _responses(
    connection: Connection, run_id: str, prompt_ids: Sequence[str]
) -> dict[str, list[tuple[float, str | None]]]:
    rows = connection.execute(
        select(Score.prompt_id, Score.score, Score.answer, func.left(Score.text, SHORT_TEXT).label("text"))
        .join(Group, Group.group_id == Score.group_id)  # a score has an index by its group, and none by its prompt
        .join(Prompt, and_(Prompt.id == Group.prompt_id, Prompt.route == Score.route))
        .where(Group.run_id == run_id, Group.prompt_id.in_(prompt_ids), Score.score.is_not(None))
        .where(Prompt.split == "train", Prompt.origin == "new", Prompt.quarantined.is_(None))
        .where(Prompt.question["ground_truth"].astext.is_not(None))
    )
    found: dict[str, list[tuple[float, str | None]]] = defaultdict(list)
    for row in rows:
        found[row.prompt_id].append((row.score, comparable(row.answer, row.text or "")))
    return found
