"""`rewardstream prompts explain`: everything that is known of one prompt, as text or JSON."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from infra.cli.errors import CommandError, ExitCode
from infra.cli.options import AsJson, DatabaseUrl, Recipe, Set, connections, resolve
from infra.cli.runs import RUNS, RunsFolder, find_run, open_engine
from infra.settings.tree import Settings

if TYPE_CHECKING:
    from trainer.curriculum.explain import ExplainedGroup, PromptExplanation

_SHOWN = 90
"""Characters of a reference's text that fit on a line."""


def explain(
    *,
    prompt_id: Annotated[str, typer.Argument(help="Id of the prompt, or its beginning.")],
    run: Annotated[
        str | None, typer.Option("--run", help="A run's id; the latest run if not given, and none before the first.")
    ] = None,
    runs: RunsFolder = RUNS,
    recipe: Recipe = None,
    assignments: Set = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Explain which scorer a prompt goes to and why, why each selection took it in or left it out, and how its groups
    were scored. Before the first run, the settings say what will happen to it.
    """
    from trainer.curriculum.explain import PromptNotFoundError
    from trainer.curriculum.explain import explain as explain_it

    if run is not None or (runs / "latest").exists():
        settings = find_run(run or "latest", runs).settings
    else:
        settings = resolve(recipe, assignments, *connections(None, database_url)).settings
    with open_engine(settings.database, runs) as engine, engine.connect() as connection:
        try:
            story = explain_it(connection, settings, prompt_id)
        except PromptNotFoundError as error:
            raise CommandError(str(error), ExitCode.UNREACHABLE) from error
    if as_json:
        print(json.dumps(asdict(story), indent=2, default=str))
    else:
        for line in story_lines(story, settings):
            print(line)


def story_lines(story: "PromptExplanation", settings: Settings) -> Iterator[str]:
    chosen = f" (chosen {story.rerouted_at:%F %T})" if story.rerouted_at else ""
    yield f"id: {story.id}"
    yield f"prompt: {story.prompt}"
    yield f"domain: {story.domain}, split {story.split}, origin {story.origin}"
    yield f"source: {story.source}"
    yield f"scorer: {story.scorer}{chosen}; {story.why_scorer}"
    yield f"quarantined: {story.quarantined or 'no'}"
    picked = [
        f"{_one_line(row.text)} (score {row.score:.3f} by {row.scorer}, best of {row.responses} by {row.policy[:12]}, "
        f"{row.rollout_id})"
        for row in story.references
    ]
    if picked:
        yield from _block("references", picked)
    decisions = []
    for one in story.decisions:
        place = "" if one.place is None or one.cut is None else f"; place {one.place} of {one.cut.candidates}"
        decisions.append(f"round {one.round} at version {one.version}: {one.why}{place}")
    yield from _block("selection", decisions or [f"none yet: {story.next}"])
    statistics = [
        f"{row.route}: {row.count} scores, mean {row.mean:.3f}, {row.passes} passed; posterior Beta({row.a:.2f}, "
        f"{row.b:.2f}), mean {row.a / (row.a + row.b):.3f}, as of version {row.version}"
        for row in story.statistics
    ]
    yield from _block("statistics", statistics)
    yield from _block("groups", [_group_line(group, settings) for group in story.groups])
    scores = [
        f"version {row.version}: {row.count} by {row.scorer} ({row.route}), mean {row.mean:.3f}" for row in story.scores
    ]
    yield from _block("scores", scores)


def _block(name: str, lines: list[str]) -> Iterator[str]:
    first, *others = lines or ["-"]
    yield f"{name}: {first}"
    for line in others:
        yield f"{'':{len(name) + 2}}{line}"


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else f"{line[: _SHOWN - 3]}..."


def _group_line(group: "ExplainedGroup", settings: Settings) -> str:
    what = " ".join(part for part in (group.group_id, group.purpose, group.label) if part)
    outcome = " ".join(part for part in (group.outcome or "open", group.reason) if part)
    at = "" if group.closed_version is None else f" at version {group.closed_version}"
    if group.spread is None:
        return f"{what}, sent at version {group.dispatched_version}: {outcome}{at}; no score yet"
    scores = " ".join("-" if score is None else f"{score:.2f}" for score in group.scores)
    limit = settings.learner.zero_variance_std
    low = f", below learner.zero_variance_std {limit:g}" if group.spread < limit else ""
    return (
        f"{what}, sent at version {group.dispatched_version}: {outcome}{at}; scores {scores}, spread "
        f"{group.spread:.3f}{low}"
    )
