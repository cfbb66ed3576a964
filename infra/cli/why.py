"""`rewardstream why`: one story of a rollout, a group, a prompt or a run, in a screenful."""

import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from infra.cli.errors import CommandError, ExitCode
from infra.cli.options import AsJson
from infra.cli.runs import RUNS, RunPlace, RunsFolder, engine_of, find_run

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from infra.advice.log_story import LoggedRollout
    from infra.advice.story import GroupStory, RunStory, StoredVerdict

_WIDTH = 110
"""Characters of a text on a line: a screenful is 24 lines of 120."""
_MOST_ROWS = 12
_NEWEST = 4
"""Groups, decisions and versions of a prompt that are shown; `prompts explain` shows all."""


def why(
    *,
    name: Annotated[
        str,
        typer.Argument(
            metavar="ROLLOUT|GROUP|PROMPT|RUN",
            help="RUN:SEQ/INDEX, RUN:SEQ, a prompt's id or its beginning, or a run's id, or `latest`.",
        ),
    ],
    run: Annotated[str, typer.Option("--run", help="With a prompt: the run that is asked about.")] = "latest",
    runs: RunsFolder = RUNS,
    as_json: AsJson = False,
) -> None:
    """Tell why a rollout was scored as it was, what became of its group, why a prompt is in or out, or what a run
    lacks.
    """
    from infra.advice.story import UnknownNameError

    try:
        told, lines = _tell(name, run, runs)
    except UnknownNameError as error:
        raise CommandError(str(error), ExitCode.UNREACHABLE) from error
    print(json.dumps(told, indent=2, default=str) if as_json else "\n".join(lines))


def _tell(name: str, run: str, root: Path) -> tuple[Any, list[str]]:
    """The story as JSON values and as lines. Raises CommandError, UnknownNameError."""
    if (root / name / "settings.json").is_file():
        return _tell_run(find_run(name, root), root)
    group, slash, index = name.partition("/")
    run_id, colon, seq = group.rpartition(":")
    if colon and seq.isdecimal() and (not slash or index.isdecimal()):
        place = find_run(run_id, root)
        return _tell_rollout(place, root, name) if slash else _tell_group(place, root, int(seq))
    return _tell_prompt(name, run, root)


def _tell_run(place: RunPlace, root: Path) -> tuple[Any, list[str]]:
    from infra.advice.advisories import advise
    from infra.advice.measures import read_measures
    from infra.advice.story import read_run

    with engine_of(place, root) as engine, engine.connect() as connection:
        story = read_run(connection, place.run_id)
        advice = advise(read_measures(connection, place.settings, place.folder))
    told = asdict(story) | {"advice": [asdict(one) for one in advice]}
    return told, list(_run_lines(story, [str(one) for one in advice]))


def _tell_group(place: RunPlace, root: Path, seq: int) -> tuple[Any, list[str]]:
    from infra.advice.story import read_group

    with engine_of(place, root) as engine, engine.connect() as connection:
        story = read_group(connection, place.folder, place.settings, seq)
    return _as_json(story), list(_group_lines(story, place))


def _tell_rollout(place: RunPlace, root: Path, rollout_id: str) -> tuple[Any, list[str]]:
    from infra.advice.story import UnknownNameError, read_group

    group, _, index = rollout_id.partition("/")
    with engine_of(place, root) as engine, engine.connect() as connection:
        story = read_group(connection, place.folder, place.settings, int(group.rpartition(":")[2]))
    if int(index) >= story.samples:
        raise UnknownNameError(f"group {group} has {story.samples} responses: {group}/0 to {group}/{story.samples - 1}")
    verdicts = story.of(rollout_id)
    logged = None if verdicts and verdicts[0].text is not None else _in_log(place, root, story, rollout_id)
    told = _as_json(story) | {"rollout_id": rollout_id, "verdicts": [asdict(one) for one in verdicts]}
    if logged is not None:
        told |= {"text": logged.rollout.text, "finish_reason": logged.rollout.finish_reason}
    return told, list(_rollout_lines(story, rollout_id, verdicts, logged, place))


def _in_log(place: RunPlace, root: Path, story: "GroupStory", rollout_id: str) -> "LoggedRollout | None":
    """What the log has of it; None if that is gone and the verdict is known. Raises CommandError if the log is not
    available, UnknownNameError if it does not have the rollout.
    """
    from infra.advice.log_story import find_rollout
    from infra.advice.story import UnknownNameError
    from infra.cli.logs import open_log

    state = "is open" if story.outcome is None else f"ended as {story.outcome}"
    scored = bool(story.of(rollout_id))
    lacks = (
        "no text (difficulty.texts_of_first_groups)" if scored else f"no verdict in the database, and its group {state}"
    )
    missing = f"rollout {rollout_id} has {lacks}"
    try:
        with open_log(place, place.settings, root) as bootstrap:
            found = find_rollout(place.settings, bootstrap, rollout_id)
    except CommandError as error:
        if scored:
            return None
        raise CommandError(f"{missing}. {error}", error.code) from error
    if found is None and not scored:
        raise UnknownNameError(
            f"{missing}; the log does not have it either: it was not generated, or not yet. "
            f"`rewardstream why {story.group_id}` shows its group"
        )
    return found


def _tell_prompt(name: str, run: str, root: Path) -> tuple[Any, list[str]]:
    from infra.cli.prompt_explanation import story_lines
    from trainer.curriculum.explain import PromptNotFoundError, explain

    place = find_run(run, root)
    with engine_of(place, root) as engine, engine.connect() as connection:
        try:
            story = explain(connection, place.settings, name)
        except PromptNotFoundError as error:
            raise CommandError(_unknown(name, root, connection, place), ExitCode.UNREACHABLE) from error
    short = replace(
        story,
        decisions=story.decisions[-_NEWEST:],
        groups=story.groups[-_NEWEST:],
        scores=story.scores[-_NEWEST:],
    )
    left_out = len(story.groups) > _NEWEST or len(story.decisions) > _NEWEST or len(story.scores) > _NEWEST
    more = [f"older ones: rewardstream prompts explain {story.id[:12]}"] if left_out else []
    return asdict(story), [*(_cut(line) for line in story_lines(short, place.settings)), *more]


def _unknown(name: str, root: Path, connection: "Connection", place: RunPlace) -> str:
    from sqlalchemy import func, select

    from infra.db.models import Prompt

    found = connection.scalar(
        select(func.count()).select_from(Prompt).where(Prompt.id.startswith(name, autoescape=True))
    )
    if found:
        return f"{found} prompts' ids begin with {name!r}: give more of the id (`rewardstream prompts list` shows ids)"
    runs = ", ".join(sorted(path.parent.name for path in root.glob("*/settings.json") if path.parent.name != "latest"))
    return (
        f"{name!r} names nothing: it is not a run in {root.resolve()} ({runs}), not a group or rollout "
        f"({place.run_id}:SEQ, {place.run_id}:SEQ/INDEX), and no prompt's id begins with it (`rewardstream prompts "
        "list` shows ids)"
    )


def _run_lines(story: "RunStory", advice: list[str]) -> Iterator[str]:
    ended = f", finished {story.finished_at:%F %T}" if story.finished_at else ""
    yield f"run {story.run_id}: phase {story.phase}, begun {story.created_at:%F %T}{ended}"
    yield f"trained: to version {story.version}, for {story.trained_seconds:.0f} s"
    for purpose, outcomes in sorted(story.outcomes.items()):
        yield f"{purpose} groups: " + ", ".join(f"{count} {name}" for name, count in sorted(outcomes.items()))
    if story.heldout:
        yield "held out: " + ", ".join(f"{label} {mean:.3f}" for label, mean in story.heldout.items())
    if not advice:
        yield "nothing that is measured is outside of its healthy range"
    for text in advice:
        yield f"! {text}"


def _head_lines(story: "GroupStory") -> Iterator[str]:
    yield f"prompt {story.prompt_id[:12]} ({story.domain}): {_cut(story.prompt)}"
    what = " ".join(part for part in (story.purpose, story.label) if part)
    yield (
        f"dispatched: {story.dispatched_at:%F %T} at version {story.dispatched_version}, {what} group of "
        f"{story.samples} responses"
    )
    yield f"because: {_cut(story.why_dispatched, 3 * _WIDTH)}"


def _group_lines(story: "GroupStory", place: RunPlace) -> Iterator[str]:
    from infra.advice.wording import expected_of

    yield f"group {story.group_id} of run {story.run_id}"
    yield from _head_lines(story)
    yield f"expected: {_cut(expected_of(story.question))}"
    counted = [one for one in story.verdicts if not one.shadow]
    for one in counted[:_MOST_ROWS]:
        yield f"  {one.rollout_id.rpartition('/')[2]:>2}  {_score(one)}, {one.tokens} tokens: {_cut(one.why, 80)}"
    if len(counted) > _MOST_ROWS:
        yield f"  and {len(counted) - _MOST_ROWS} more (--json)"
    if missing := story.samples - len({one.rollout_id for one in counted}):
        yield f"  {missing} without a verdict"
    yield from _ending_lines(story, place)


def _rollout_lines(
    story: "GroupStory",
    rollout_id: str,
    verdicts: list["StoredVerdict"],
    logged: "LoggedRollout | None",
    place: RunPlace,
) -> Iterator[str]:
    from infra.advice.wording import expected_of, rule_of

    yield f"rollout {rollout_id} of run {story.run_id}"
    yield from _head_lines(story)
    if logged is not None:
        yield from _logged_lines(logged, in_database=bool(verdicts))
        if verdicts and verdicts[0].answer is not None:
            yield f"read as the answer: {_cut(verdicts[0].answer)}"
    else:
        first = verdicts[0]
        cut = ", cut off" if first.tokens >= story.limit else ""
        yield f"generated: by version {first.version}, {first.tokens} of at most {story.limit} tokens{cut}"
        gone = "not kept in the database, and the log is gone"
        yield f"response: {gone if first.text is None else _cut(first.text, 3 * _WIDTH)}"
        yield f"read as the answer: {_cut(first.answer) if first.answer is not None else '-'}"
    yield f"expected: {_cut(expected_of(story.question))}"
    for one in verdicts[:_MOST_ROWS]:
        role = " (does not count: calibration or rescored)" if one.shadow else ""
        vetoed = "" if one.judged is None else f"; the judge gave {one.judged:.3f}, the veto 0"
        yield f"verdict{role}: {_score(one)} by {one.route} in {one.seconds:.2f} s: {_cut(one.why)}{vetoed}"
    yield f"rule: {_cut(rule_of(story.question), 3 * _WIDTH)}"
    yield from _ending_lines(story, place)


def _logged_lines(logged: "LoggedRollout", *, in_database: bool) -> Iterator[str]:
    rollout = logged.rollout
    spans = ", ".join(f"{span.tokens} tokens by version {span.version}" for span in rollout.spans)
    cut = ", cut off" if rollout.finish_reason == "length" else ""
    yield f"generated: {spans} of at most {rollout.sampling.max_new_tokens}{cut} ({rollout.engine or 'engine unknown'})"
    yield f"response (from the log): {_cut(rollout.text, 3 * _WIDTH)}"
    if in_database:
        return
    if logged.verdict is None:
        yield "verdict: none yet: it waits for its scorer"
        return
    verdict = logged.verdict
    score = "none" if verdict.score is None else f"{verdict.score:.3f}"
    yield (
        f"verdict (from the log, not in the database yet): {score} {verdict.status} by {verdict.scorer}: "
        f"{_cut(verdict.why)}"
    )


def _ending_lines(story: "GroupStory", place: RunPlace) -> Iterator[str]:
    from infra.advice.wording import meaning_of

    counted = " ".join("-" if one.score is None else f"{one.score:.2f}" for one in story.verdicts if not one.shadow)
    spread = "" if story.spread is None else f"; scores {counted}, spread {story.spread:.3f}"
    if story.outcome is None:
        yield f"group: open until {story.deadline:%F %T}{_cut(spread)}"
        return
    seconds = (
        "" if story.closed_at is None else f" after {(story.closed_at - story.dispatched_at).total_seconds():.1f} s"
    )
    reason = f" ({story.reason})" if story.reason else ""
    yield f"group: closed as {story.outcome}{reason} at version {story.closed_version}{seconds}{_cut(spread)}"
    yield f"which means: {meaning_of(story, place.settings)}"


def _score(verdict: "StoredVerdict") -> str:
    score = "none" if verdict.score is None else f"{verdict.score:.3f}"
    return f"{score} {verdict.status} by {verdict.scorer}"


def _as_json(story: "GroupStory") -> dict[str, Any]:
    import msgspec

    return asdict(story) | {"question": msgspec.to_builtins(story.question)}


def _cut(text: str, width: int = _WIDTH) -> str:
    """The text on one line; of a long one, beginning and end."""
    line = " ".join(text.split())
    return line if len(line) <= width else f"{line[: width // 2 - 3]} ... {line[-width // 2 + 2 :]}"
