"""`rewardstream rescore`: scores a run's rollouts again with another scorer or version."""

import asyncio
import json
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from infra.cli.errors import CommandError, ExitCode
from infra.cli.options import AsJson, BootstrapServers, Recipe, Set, connections, resolve
from infra.cli.runs import RUNS, RunName, RunPlace, RunsFolder, engine_of, find_run
from infra.settings.tree import Settings
from streams.messages import Purpose

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from workers.scoring.rescore.picker import RescoreSelection
    from workers.scoring.rescore.run import RescoreResult
    from workers.scoring.rescore.topics import ScorerId

_PROGRESS_SECONDS = 10.0


def rescore(
    *,
    scorer: Annotated[
        str,
        typer.Option(
            metavar="NAME[@VERSION]",
            help="A verifier's name, or `genrm` for the judge of the settings. VERSION must be the installed one.",
        ),
    ],
    run: RunName = "latest",
    runs: RunsFolder = RUNS,
    domain: Annotated[list[str] | None, typer.Option(help="Only rollouts of this domain; may be repeated.")] = None,
    purpose: Annotated[
        list[Purpose] | None, typer.Option(help="Only rollouts made for this purpose; may be repeated.")
    ] = None,
    others: Annotated[
        bool,
        typer.Option("--others", help="Also prompts of another scorer, if they have what this one needs."),
    ] = False,
    limit: Annotated[
        int, typer.Option(min=0, help="Stop after this many rollouts, at the end of a group; 0: all.")
    ] = 0,
    recipe: Recipe = None,
    assignments: Set = None,
    bootstrap_servers: BootstrapServers = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count what would be scored; write nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Score a run's rollouts again, and show what changed.

    The old scores stay. New scores go to the topic scored.NAME.VERSION of the run, and to Postgres without changing the
    statistics that selection uses. Table, picture and summary.json are written to the run's folder. Without --others, a
    verifier scores the prompts that name it, and genrm those that name no verifier. The scorer's settings are the
    run's; --recipe takes others, --set changes single ones. If it was interrupted, the same command continues.
    `rewardstream train --from-run ID --scores NAME@VERSION` trains on the new scores.

    Exit code 1 if rollouts could not be scored: they get no score, not 0, and the same command tries them again.
    """
    from workers.scoring.rescore.picker import RescoreSelection
    from workers.scoring.rescore.topics import ScorerId

    try:
        wanted = ScorerId.parse(scorer)
    except ValueError as error:
        raise CommandError(f"--scorer: {error}", ExitCode.USAGE) from error
    place = find_run(run, runs)
    settings = _run_settings(place, recipe, assignments, bootstrap_servers)
    selection = RescoreSelection(
        run_id=place.run_id,
        scorer=wanted.name,
        domains=frozenset(domain or ()),
        purposes=frozenset(purpose or ()),
        others=others,
        limit=limit,
    )
    summary = _run_on_log(place, settings, runs, wanted, selection, dry_run=dry_run)
    if as_json:
        print(json.dumps(summary, indent=2))
    else:
        from infra.cli.rescore_table import print_changes, print_plan

        (print_plan if dry_run else print_changes)(summary)
    _require_scored(summary)


def _run_settings(
    place: RunPlace, recipe: str | None, assignments: list[str] | None, bootstrap_servers: str | None
) -> Settings:
    """The run's own settings, with the scorers' settings from the command line."""
    file = str(place.folder / "settings.json")
    run = resolve(file, None, *connections(bootstrap_servers, None)).settings
    scorers = resolve(recipe or file, assignments).settings
    return run.model_copy(update={"rtv": scorers.rtv, "genrm": scorers.genrm})


def _run_on_log(
    place: RunPlace, settings: Settings, runs: Path, wanted: "ScorerId", selection: "RescoreSelection", *, dry_run: bool
) -> dict[str, Any]:
    from infra.cli.logs import open_log

    with open_log(place, settings, runs) as bootstrap:
        if dry_run:
            return asyncio.run(_plan_scoring(settings, bootstrap, wanted, selection))
        with engine_of(place, runs) as engine:
            return asyncio.run(
                _score_again(place.folder, settings, bootstrap, engine, wanted=wanted, selection=selection)
            )


async def _plan_scoring(
    settings: Settings, bootstrap: str, wanted: "ScorerId", selection: "RescoreSelection"
) -> dict[str, Any]:
    from infra.report.rescored import plan_of
    from workers.scoring.open_scorer import open_scorer
    from workers.scoring.rescore.run import RescoreRun

    async with open_scorer(wanted, settings) as scorer:
        run = RescoreRun(
            settings=settings, bootstrap=bootstrap, scorer=scorer, rows=lambda _: 0, progress=lambda _: None
        )
        return plan_of(selection, str(scorer.id), run.look(selection))


async def _score_again(
    folder: Path,
    settings: Settings,
    bootstrap: str,
    engine: "Engine",
    *,
    wanted: "ScorerId",
    selection: "RescoreSelection",
) -> dict[str, Any]:
    from infra.db.rescores import write_rescored
    from infra.report.build import write_rescore
    from infra.report.rescored import summarise
    from streams.clients import make_producer
    from workers.scoring.open_scorer import open_scorer
    from workers.scoring.rescore.comparison import read_pairs
    from workers.scoring.rescore.run import RescoreRun
    from workers.scoring.rescore.topics import create_rescored_topic

    async with AsyncExitStack() as closing:
        scorer = await closing.enter_async_context(open_scorer(wanted, settings))
        topic = create_rescored_topic(settings, bootstrap, scorer.id)
        producer = make_producer(settings.broker, bootstrap)
        closing.callback(producer.close, timeout=1)
        run = RescoreRun(
            settings=settings,
            bootstrap=bootstrap,
            scorer=scorer,
            rows=lambda records: write_rescored(engine, records),
            progress=_Progress(),
        )
        found = await run.run(selection, producer)
    pairs = read_pairs(settings, bootstrap, topic, selection, found.unscored)
    summary = summarise(
        selection=selection, scorer=str(scorer.id), topic=topic, found=found, pairs=pairs, learner=settings.learner
    )
    return write_rescore(folder / scorer.id.folder, summary)


def _require_scored(summary: dict[str, Any]) -> None:
    """Raises CommandError if rollouts have no new score."""
    unscored = summary.get("unscored", [])
    if unscored:
        first, count = unscored[0], summary["this_time"]["unscored"]
        raise CommandError(
            f"rollouts that could not be scored: {count}. They have no new score, and the same command tries them "
            f"again. The first, {first['rollout_id']}: {first['why']}",
            ExitCode.FAILED,
        )


class _Progress:
    """Prints a line to stderr every ten seconds."""

    def __init__(self) -> None:
        self._shown_at = time.monotonic()

    def __call__(self, found: "RescoreResult") -> None:
        now = time.monotonic()
        if now - self._shown_at < _PROGRESS_SECONDS:
            return
        self._shown_at = now
        print(f"  {found.scored} scored, {len(found.unscored)} not, {found.seconds:.0f} s", file=sys.stderr, flush=True)
