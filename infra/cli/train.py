"""`rewardstream train` and `sft`: train your own model on your own data."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import psutil
import typer

from infra.cli.doctor import require_startable
from infra.cli.errors import CommandError, ExitCode
from infra.cli.options import (
    BootstrapServers,
    DatabaseUrl,
    Dedicated,
    DryRun,
    Minutes,
    NoScreen,
    Recipe,
    Resume,
    RunFolder,
    Seed,
    Set,
    connections,
    print_dry_run,
    resolve,
    run_options,
)
from infra.cli.runs import RUNS
from infra.local.interrupts import interrupt_once

Prompts = Annotated[
    Path | None, typer.Option(help="Prompts to train on: a file, a folder, a pattern or hf://ORG/NAME/SPLIT.")
]
Heldout = Annotated[Path | None, typer.Option(help="Prompts to measure on, which share nothing with training.")]
Model = Annotated[str | None, typer.Option(help="Folder of the policy, as transformers loads it.")]
FromRun = Annotated[
    str | None, typer.Option(metavar="ID", help="Train again on the log of this run; an id, or `latest`.")
]
Scores = Annotated[
    str | None,
    typer.Option(metavar="NAME@VERSION", help="Train again on these scores of `rescore` instead of the run's own."),
]


def train(
    *,
    recipe: Recipe = None,
    prompts: Prompts = None,
    heldout: Heldout = None,
    model: Model = None,
    seed: Seed = None,
    minutes: Minutes = None,
    no_screen: NoScreen = False,
    assignments: Set = None,
    bootstrap_servers: BootstrapServers = None,
    database_url: DatabaseUrl = None,
    run_folder: RunFolder = None,
    resume: Resume = None,
    from_run: FromRun = None,
    scores: Scores = None,
    dry_run: DryRun = False,
) -> None:
    """Execute a whole run on your own prompts and model: ingest, train, measure, audit, report.

    With --resume, a run that was stopped goes on where it was, with its prompts, model and settings.

    With --from-run, the learner alone trains on the log of a run that has ended, with that run's model and settings
    (--set and --model change them), until the end of the log.
    """
    if resume is not None:
        dedicated = (
            *connections(bootstrap_servers, database_url),
            *run_options(seed=seed, minutes=minutes, model=model, prompts=prompts, heldout=heldout),
        )
        given = {"--recipe": recipe, "--from-run": from_run, "--scores": scores}
        go_on(resume, run_folder or RUNS, assignments, dedicated, given, no_screen=no_screen, dry_run=dry_run)
        return
    if from_run is not None or scores is not None:
        fresh = {"--recipe": recipe, "--prompts": prompts, "--heldout": heldout, "--minutes": minutes}
        _refuse_options(fresh | {"--database-url": database_url}, from_run)
        from infra.cli.retrain import train_again

        train_again(
            from_run or "latest",
            scores or "",
            run_folder or RUNS,
            assignments,
            (*connections(bootstrap_servers, None), *run_options(seed=seed, model=model)),
            dry_run=dry_run,
        )
        return
    resolved = resolve(
        recipe,
        assignments,
        *connections(bootstrap_servers, database_url),
        *run_options(seed=seed, minutes=minutes, run_folder=run_folder, model=model, prompts=prompts, heldout=heldout),
    )
    if dry_run:
        print_dry_run(resolved)
        require_startable(resolved.settings, cheaply=True)
        return
    settings = resolved.settings
    if settings.data.prompts is None:
        raise CommandError("no prompts to train on: give --prompts FILE, or data.prompts in a recipe", ExitCode.USAGE)
    started = psutil.Process().create_time()
    require_startable(settings)
    from infra.cli.run_whole import Preparation, execute

    with interrupt_once():
        execute(settings, Preparation(), started, screen=False if no_screen else None)


def go_on(
    run: str,
    root: Path,
    assignments: list[str] | None,
    dedicated: tuple[Dedicated, ...],
    given: Mapping[str, Any],
    *,
    no_screen: bool,
    dry_run: bool,
) -> None:
    """Goes on with a run that was stopped. Raises what `resume_settings` and `execute` raise."""
    from infra.cli.resume import resume_settings

    resolved = resume_settings(run, root, assignments, dedicated, given)
    if dry_run:
        print_dry_run(resolved)
        require_startable(resolved.settings, cheaply=True)
        return
    started = psutil.Process().create_time()
    require_startable(resolved.settings)
    from infra.cli.run_whole import Preparation, execute

    with interrupt_once():
        execute(resolved.settings, Preparation(), started, screen=False if no_screen else None)


def _refuse_options(options: Mapping[str, Any], from_run: str | None) -> None:
    """Raises CommandError if an option is given that does not go with --from-run, or --from-run is missing."""
    if from_run is None:
        raise CommandError("--scores chooses among the scores of --from-run ID: name the run too", ExitCode.USAGE)
    given = [name for name, value in options.items() if value is not None]
    if given:
        raise CommandError(
            f"--from-run trains on the prompts and settings of run {from_run}; {', '.join(given)} cannot change them. "
            "--set changes single values",
            ExitCode.USAGE,
        )


def sft(
    *,
    examples: Annotated[Path, typer.Argument(help="JSONL of {prompt or messages, response}.")],
    out: Annotated[Path, typer.Argument(help="Folder for the tuned model.")],
    model: Model = None,
    steps: Annotated[int, typer.Option(min=1, help="Optimizer steps.")] = 24,
    learning_rate: Annotated[float, typer.Option(min=0, help="Peak of the cosine schedule.")] = 6e-5,
    batch: Annotated[int, typer.Option(min=1, help="Examples per step.")] = 16,
    seed: Seed = None,
    recipe: Recipe = None,
    assignments: Set = None,
) -> None:
    """Fine-tune a model on prompts with responses: a warm start that gives PPO a signal to follow."""
    settings = resolve(recipe, assignments, *run_options(seed=seed, model=model)).settings
    from trainer.supervised.fit import FitSettings
    from trainer.supervised.sft import SftSettings, read_examples, run_sft
    from workers.models.model_files import resolve_model

    if not examples.is_file():
        raise CommandError(f"no examples at {examples.resolve()}: give a JSONL file", ExitCode.UNREACHABLE)
    read = read_examples(examples)
    folder = resolve_model(settings.model.path, settings.run.prepared)
    fit = FitSettings(steps=steps, learning_rate=learning_rate, device=settings.learner.device)
    report = run_sft(folder, read, out, SftSettings(fit=fit, batch=batch, seed=settings.run.seed), show_fit_progress)
    print(json.dumps(asdict(report), indent=2))


def show_fit_progress(done: int, total: int, loss: float) -> None:
    typer.echo(f"step {done} of {total}: loss {loss:.4f}", err=True)
