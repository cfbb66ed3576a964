"""`rewardstream prompts references`: a reference for every open-ended prompt, picked by a reward model."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from infra.cli.errors import CommandError, ExitCode
from infra.cli.options import (
    AsJson,
    BootstrapServers,
    DatabaseUrl,
    Dedicated,
    Recipe,
    RunFolder,
    Seed,
    Set,
    connections,
    resolve,
    run_options,
)
from infra.local.interrupts import interrupt_once

if TYPE_CHECKING:
    from infra.evaluation.reference_run import ReferenceSummary


def references(
    *,
    reward_model: Annotated[Path, typer.Option(help="Folder of a Bradley-Terry model, as `rm train-bt` writes it.")],
    model: Annotated[
        str | None,
        typer.Option(help="The SFT model that answers: a folder, RUN or RUN:VERSION; else model.path of the settings."),
    ] = None,
    samples: Annotated[int, typer.Option(min=1, help="Responses N to pick from. The paper does not state its N.")] = 8,
    keep: Annotated[
        int, typer.Option(min=1, help="References to keep per prompt, best first; genrm.references judges by them.")
    ] = 1,
    domain: Annotated[list[str] | None, typer.Option(help="Only prompts of this domain; may be repeated.")] = None,
    limit: Annotated[int, typer.Option(min=0, help="Stop after this many prompts; 0: all.")] = 0,
    recipe: Recipe = None,
    seed: Seed = None,
    assignments: Set = None,
    bootstrap_servers: BootstrapServers = None,
    database_url: DatabaseUrl = None,
    run_folder: RunFolder = None,
    as_json: AsJson = False,
) -> None:
    """Pick a reference for each prompt that nothing can score: the best of N responses of the SFT model.

    Prompts are those in the database without verifier, ground truth and references (`prompts ingest`). Responses are
    generated and scored through a stack of its own, and picked as they come: if it was interrupted, the same command
    continues, and a prompt that has its reference is not asked again. `prompts explain` shows where a reference comes
    from. A run that draws from these prompts takes them in its next selection.

    Exit code 1 if prompts are left without a reference: the same command asks them again.
    """
    settings = resolve(
        recipe,
        assignments,
        *connections(bootstrap_servers, database_url),
        *run_options(seed=seed, run_folder=run_folder),
        Dedicated("--bootstrap-servers", "broker.kind", "cluster" if bootstrap_servers else None),
    ).settings
    from infra.evaluation.reference_run import pick_missing

    with interrupt_once():
        summary = pick_missing(
            settings, reward_model, samples=samples, keep=keep, model=model, domains=tuple(domain or ()), limit=limit
        )
    if as_json:
        print(json.dumps(asdict(summary), indent=2))
    elif summary.run is not None:
        print(f"{summary.picked} of {summary.prompts} prompts got references in {summary.seconds:.0f} s")
    _require_picked(summary)


def _require_picked(summary: "ReferenceSummary") -> None:
    if summary.violations:
        raise CommandError(
            f"the audit of run {summary.run} found {summary.violations} violations: "
            f"`rewardstream audit --run {summary.run}`"
        )
    if summary.picked < summary.prompts:
        why = [f"{count} x {reason}" for reason, count in summary.failures.items()]
        why += [f"{summary.without_content} x no response with content"] if summary.without_content else []
        raise CommandError(
            f"{summary.prompts - summary.picked} prompts are left without a reference, and the same command asks them "
            f"again: {'; '.join(why) or 'another command gave them one'}",
            ExitCode.FAILED,
        )
