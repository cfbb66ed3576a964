"""`rewardstream evaluate`: measures a model, or compares two, on sets of prompts."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from infra.cli.errors import CommandError, ExitCode
from infra.cli.options import (
    AsJson,
    BootstrapServers,
    DatabaseUrl,
    Dedicated,
    DryRun,
    Recipe,
    RunFolder,
    Seed,
    Set,
    connections,
    print_dry_run,
    resolve,
    run_options,
)
from infra.local.interrupts import interrupt_once


def _list_sets(wanted: bool) -> None:  # noqa: FBT001 (typer calls it with the option's value)
    """Prints the package sets, and what no package has; ends the command."""
    if not wanted:
        return
    from infra.evaluation.package_sets import PACKAGE_SETS, skills_without_package

    for one in PACKAGE_SETS.values():
        state = one.installed or f"not installed: {one.install}"
        print(f"{one.name:<22} {one.skill:<25} {one.package} {state}\n    {one.what}")
    print(f"no package's set: {', '.join(skills_without_package())}; give a file as SKILL=FILE")
    raise typer.Exit


def evaluate(
    *,
    model: Annotated[
        list[str],
        typer.Option(
            help="A folder as transformers or peft writes it, RUN:VERSION, RUN (its newest version), or a version's or "
            "checkpoint's folder. Give two to compare them.",
        ),
    ],
    sets: Annotated[
        list[str],
        typer.Option(
            metavar="[SKILL=]FILE|NAME",
            help="Prompts to answer: JSONL or Parquet, or a package's set (--list-sets). More may follow.",
        ),
    ],
    more: Annotated[list[str] | None, typer.Argument(metavar="[FILE]...", help="More sets.")] = None,
    samples: Annotated[int | None, typer.Option(min=1, help="Responses per prompt.")] = None,
    pass_at: Annotated[
        list[int] | None, typer.Option("--pass-at", min=1, help="A k of pass@k; may be repeated.")
    ] = None,
    list_sets: Annotated[  # noqa: ARG001 (its callback acts before the command)
        bool,
        typer.Option("--list-sets", is_eager=True, callback=_list_sets, help="List the sets of installed packages."),
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Folder of evaluation.json and evaluation.png.")] = None,
    recipe: Recipe = None,
    seed: Seed = None,
    assignments: Set = None,
    bootstrap_servers: BootstrapServers = None,
    database_url: DatabaseUrl = None,
    run_folder: RunFolder = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Measure a model on sets of prompts, or compare two prompt by prompt: avg@k, pass@1 and pass@k by skill and
    domain, with 95 % intervals.

    Responses are generated and scored through a stack of its own. All scores stay in Postgres: if it was interrupted,
    the same command continues, and what was scored under the same conditions is not generated again. Sampling and
    scorers are those of the recipe; without one, those of the run that made the first model, if it is of a run. A row's
    column `skill`, SKILL=FILE or evaluation.skills names its skill.

    Exit code 1 if prompts have no result: their groups failed, and the same command asks them again.
    """
    from infra.evaluation.sets import EvaluationSet

    resolved = resolve(
        recipe or _recipe_of_run(model[0], run_folder),
        assignments,
        *connections(bootstrap_servers, database_url),
        *run_options(seed=seed, run_folder=run_folder),
        Dedicated("--bootstrap-servers", "broker.kind", "cluster" if bootstrap_servers else None),
        Dedicated("--samples", "evaluation.samples", samples),
        Dedicated("--pass-at", "evaluation.pass_at", pass_at or None),
    )
    if dry_run:
        print_dry_run(resolved, as_json=as_json)
        return
    chosen = [EvaluationSet.parse(text) for text in [*sets, *(more or [])]]
    from infra.cli.evaluation_table import print_evaluation
    from infra.evaluation.run import evaluate_models

    with interrupt_once():
        summary = evaluate_models(resolved.settings, model, chosen, out=out)
    if as_json:
        print(json.dumps(summary, indent=2))
    else:
        print_evaluation(summary)
    _require_results(summary)


def _recipe_of_run(model: str, run_folder: Path | None) -> str | None:
    """The settings of the run that made the model; None if it is not of a run."""
    from infra.cli.runs import RUNS
    from trainer.evaluator.policy_files import settings_file_of

    file = settings_file_of(model, run_folder or RUNS)
    return None if file is None else str(file)


def _require_results(summary: dict[str, Any]) -> None:
    """Raises CommandError if prompts have no result, or the audit found a violation."""
    for model in summary["models"]:
        if model["violations"]:
            raise CommandError(
                f"{model['model']}: the audit of run {model['run']} found {model['violations']} violations: "
                f"`rewardstream audit --run {model['run']}`"
            )
        if model["missing"]:
            why = "; ".join(f"{count} x {reason}" for reason, count in model["failures"].items())
            raise CommandError(
                f"{model['model']}: {model['missing']} prompts have no result, and the same command asks them again. "
                f"Their groups: {why or 'none'}",
                ExitCode.FAILED,
            )
