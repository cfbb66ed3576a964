"""`rewardstream rm`: trains reward models, and measures judges."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from infra.cli.errors import CommandError, ExitCode
from infra.cli.options import Recipe, Seed, Set, resolve, run_options
from infra.cli.train import show_fit_progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trainer.prompts.dataset import Rejection

app = typer.Typer(no_args_is_help=True, help="Reward models: train-bt.")

_SHOWN_REJECTIONS = 5

StartModel = Annotated[
    str | None, typer.Option("--model", help="Folder of the model to start from; else model.path of the settings.")
]
UpperShare = Annotated[
    float, typer.Option(min=0.0, max=1.0, help="Fraction of the layers to train, from the last; 1: all weights.")
]
LoraRank = Annotated[int, typer.Option(min=0, help="Train an adapter of this rank, merged at the end; 0: the weights.")]


@app.command("train-bt")
def train_bt(
    *,
    pairs: Annotated[
        list[Path], typer.Argument(help="JSONL or Parquet of {prompt, chosen, rejected}, or of whole conversations.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the reward model.")],
    model: StartModel = None,
    steps: Annotated[int, typer.Option(min=0, help="Optimizer steps; 0: each prompt once.")] = 0,
    learning_rate: Annotated[
        float | None, typer.Option(min=0, help="Peak of the cosine schedule; if not given 1e-5, with LoRA 1e-4.")
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Prompts per step.")] = 64,
    lora_rank: LoraRank = 0,
    upper_share: UpperShare = 1.0,
    heldout_share: Annotated[
        float, typer.Option(min=0.0, max=0.9, help="Fraction of the prompts to measure on instead of training.")
    ] = 0.05,
    max_tokens: Annotated[int, typer.Option(min=2, help="Longest conversation; longer ones are left out.")] = 2048,
    centering: Annotated[float, typer.Option(min=0, help="Weight of the term that keeps rewards near 0.")] = 0.01,
    seed: Seed = None,
    recipe: Recipe = None,
    assignments: Set = None,
) -> None:
    """Train a Bradley-Terry reward model on preference pairs, from a language model or from a reward model.

    The folder is a sequence classifier with one label, as transformers loads it: `prompts references` picks with it,
    `rm evaluate` measures it, and learner.value.path can start from it.
    """
    from trainer.reward_models.bradley_terry import (
        FULL_LEARNING_RATE,
        LORA_LEARNING_RATE,
        BradleyTerrySettings,
        fit_reward_model,
    )
    from trainer.reward_models.preferences import by_prompt, read_preferences
    from trainer.supervised.fit import FitSettings
    from workers.models.model_files import resolve_model

    settings = resolve(recipe, assignments, *run_options(seed=seed, model=model)).settings
    found = read_preferences(pairs)
    _show_rejected(found.rejected)
    if not found.pairs:
        raise CommandError(f"no preference pair in {', '.join(map(str, pairs))}", ExitCode.USAGE)
    rate = learning_rate or (LORA_LEARNING_RATE if lora_rank else FULL_LEARNING_RATE)
    fit = FitSettings(
        steps=steps,
        learning_rate=rate,
        lora_rank=lora_rank,
        upper_share=upper_share,
        device=settings.learner.device,
    )
    report = fit_reward_model(
        resolve_model(settings.model.path, settings.run.prepared),
        by_prompt(found.pairs),
        out,
        BradleyTerrySettings(fit, batch, heldout_share, max_tokens, centering, settings.run.seed),
        show_fit_progress,
    )
    _print_json(asdict(report) | {"set_aside": len(found.rejected)})


def _show_rejected(rejected: "Sequence[Rejection]") -> None:
    for rejection in rejected[:_SHOWN_REJECTIONS]:
        typer.echo(f"set aside {rejection}", err=True)
    if len(rejected) > _SHOWN_REJECTIONS:
        typer.echo(f"{len(rejected)} rows were set aside in all", err=True)


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2))
