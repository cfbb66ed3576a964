"""`rewardstream plan`: what a run would take, and what cannot fit, before anything starts."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from infra.cli.errors import CommandError, ExitCode
from infra.cli.options import AsJson, Dedicated, Recipe, Set, resolve


def plan(
    *,
    recipe: Recipe = None,
    model: Annotated[
        str, typer.Option(help="A model's folder, its config.json, or the demo's model; default: the recipe's.")
    ] = "",
    gpus: Annotated[int, typer.Option(min=1, help="GPUs of learner and engines together.")] = 1,
    gpu_memory: Annotated[float, typer.Option(min=0.1, help="GiB of one GPU, as nvidia-smi shows it.")] = 80.0,
    assume: Annotated[
        list[str] | None,
        typer.Option("--assume", metavar="NAME=VALUE", help="A figure that the plan assumes; the plan prints them."),
    ] = None,
    assignments: Set = None,
    as_json: AsJson = False,
) -> None:
    """Print memory, disk, log and database that a run would take, and its likely bottleneck; start nothing.

    Exit code 1: something cannot fit; the text names it and the settings that mend it.
    """
    from infra.capacity.capacity_plan import make_plan
    from infra.capacity.hardware import GIB, Assumptions, Hardware
    from infra.capacity.model_shape import shape_of
    from infra.capacity.shortages import Models
    from infra.capacity.table import lines, to_json
    from workers.models.model_files import resolve_model

    settings = resolve(recipe, assignments, Dedicated("--model", "model.path", model or None)).settings

    def path_of(name: str) -> Path:
        return Path(name) if Path(name).is_file() else resolve_model(name, settings.run.prepared)

    policy = shape_of(path_of(settings.model.path))
    value = shape_of(path_of(settings.learner.value.path)) if settings.learner.value.path else policy
    hardware = Hardware(gpus, round(gpu_memory * GIB))
    made = make_plan(settings, Models(policy, value), hardware, Assumptions.given(assume or []))
    print(json.dumps(to_json(made), indent=2) if as_json else "\n".join(lines(made)))
    sys.stdout.flush()
    if made.shortages:
        listed = "\n".join(f"  {shortage}" for shortage in made.shortages)
        raise CommandError(f"this cannot run:\n{listed}", ExitCode.FAILED)
