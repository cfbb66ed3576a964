"""`rewardstream rm`: trains reward models, and measures judges."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from infra.cli.errors import CommandError, ExitCode
from infra.cli.options import AsJson, Dedicated, Recipe, Seed, Set, resolve, run_options
from infra.cli.train import show_fit_progress
from infra.settings.tree import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trainer.prompts.dataset import Rejection
    from trainer.reward_models.judge_answers import AskedJudge

app = typer.Typer(no_args_is_help=True, help="Reward models and judges: train-bt, train-genrm, evaluate.")

_SHOWN_REJECTIONS = 5

StartModel = Annotated[
    str | None, typer.Option("--model", help="Folder of the model to start from; else model.path of the settings.")
]
UpperShare = Annotated[
    float, typer.Option(min=0.0, max=1.0, help="Fraction of the layers to train, from the last; 1: all weights.")
]
LoraRank = Annotated[int, typer.Option(min=0, help="Train an adapter of this rank, merged at the end; 0: the weights.")]
HeldoutShare = Annotated[
    float, typer.Option(min=0.0, max=0.9, help="Fraction of the prompts to measure on instead of training.")
]


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
    heldout_share: HeldoutShare = 0.05,
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


@app.command("train-genrm")
def train_genrm(
    *,
    triples: Annotated[
        list[Path],
        typer.Argument(
            help="JSONL or Parquet of {prompt, ground_truth or reference, response, label}, or of preference pairs."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the judge.")],
    model: StartModel = None,
    steps: Annotated[int, typer.Option(min=0, help="Optimizer steps; 0: each question once per round.")] = 0,
    learning_rate: Annotated[float, typer.Option(min=0, help="Peak of the cosine schedule.")] = 5e-5,
    groups: Annotated[int, typer.Option(min=1, help="Questions per step, each with its candidates.")] = 11,
    lora_rank: LoraRank = 0,
    upper_share: UpperShare = 1.0,
    both_orders: Annotated[
        bool, typer.Option(help="Also show each reference as the candidate, with the other label.")
    ] = True,
    negative: Annotated[
        list[str] | None,
        typer.Option(metavar="KIND", help="Kinds of hard negatives: echo, first-sentence, other, phrase; all if none."),
    ] = None,
    negatives_per_question: Annotated[int, typer.Option(min=0, help="Hard negatives to add to each question.")] = 1,
    vary_form: Annotated[
        bool, typer.Option(help="Write right and wrong answers to a ground truth in the same mixture of forms.")
    ] = True,
    rounds: Annotated[int, typer.Option(min=1, help="Times that each question is used, with other negatives.")] = 2,
    heldout_share: HeldoutShare = 0.05,
    seed: Seed = None,
    recipe: Recipe = None,
    assignments: Set = None,
) -> None:
    """Fine-tune a generative judge: YES or NO on a candidate against a ground truth or a reference.

    Hard negatives keep it from being fooled: echoes of the question, the first sentences of longer answers, right
    answers to other questions, and phrases that address the judge. Its measures on held-out questions are printed as
    those of `rm evaluate`; genrm.model takes the folder.
    """
    from trainer.reward_models.hard_negatives import NegativeKind
    from trainer.reward_models.judge_training import JudgeTrainingSettings, train_judge
    from trainer.reward_models.triples import read_triples
    from trainer.supervised.fit import FitSettings
    from trainer.supervised.genrm import JudgeFitSettings
    from workers.models.model_files import resolve_model

    try:
        kinds = tuple(NegativeKind(kind) for kind in negative or NegativeKind)
    except ValueError as error:
        raise CommandError(f"--negative: {error}; allowed are {', '.join(NegativeKind)}", ExitCode.USAGE) from error
    settings = resolve(recipe, assignments, *run_options(seed=seed, model=model)).settings
    found = read_triples(triples)
    _show_rejected(found.rejected)
    if not found.candidates:
        raise CommandError(f"no triple in {', '.join(map(str, triples))}", ExitCode.USAGE)
    fit = FitSettings(
        steps=steps,
        learning_rate=learning_rate,
        lora_rank=lora_rank,
        upper_share=upper_share,
        device=settings.learner.device,
    )
    training = JudgeTrainingSettings(
        fit=JudgeFitSettings(fit, groups, settings.run.seed),
        both_orders=both_orders,
        negatives=kinds if negatives_per_question else (),
        per_group=negatives_per_question,
        vary_form=vary_form,
        rounds=rounds,
        heldout_share=heldout_share,
    )
    folder = resolve_model(settings.model.path, settings.run.prepared)
    report = train_judge(folder, found.candidates, out, training, show_fit_progress)
    _print_json(asdict(report) | {"set_aside": len(found.rejected)})


@app.command()
def evaluate(
    *,
    data: Annotated[
        list[Path],
        typer.Argument(
            help="JSONL or Parquet of {prompt, ground_truth or reference, response, label}, or of preference pairs."
        ),
    ],
    judge: Annotated[
        str | None,
        typer.Option(
            help="Folder of a Bradley-Terry model or a judge; with --endpoint, the model's name there. Without it, "
            "genrm.model of the settings."
        ),
    ] = None,
    endpoint: Annotated[
        str | None, typer.Option(metavar="URL", help="Base URL of an OpenAI-compatible server, with /v1.")
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(metavar="FILE.png", help="Draw calibration and accuracy by domain.")
    ] = None,
    probed_questions: Annotated[
        int, typer.Option(min=0, help="Questions on which master keys and other probes are tried.")
    ] = 32,
    recipe: Recipe = None,
    assignments: Set = None,
    as_json: AsJson = False,
) -> None:
    """Measure any judge: accuracy, AUC, calibration, order flips, what fools it, and all this by domain.

    A generative judge is asked as the genrm stage asks it, with the settings of `genrm` (--recipe, --set). A
    Bradley-Terry model's score is the probability that the candidate is preferred to the reference.
    """
    from trainer.reward_models.evaluate_judge import evaluate_judge
    from trainer.reward_models.triples import read_triples

    settings = resolve(recipe, assignments, *_judge_options(judge, endpoint)).settings
    found = read_triples(data)
    _show_rejected(found.rejected)
    if not found.candidates:
        raise CommandError(f"no triple in {', '.join(map(str, data))}", ExitCode.USAGE)
    with _open_judge(settings) as asked:
        result = evaluate_judge(
            asked, found.candidates, probed_questions=probed_questions, progress=lambda text: typer.echo(text, err=True)
        )
    if picture is not None:
        from infra.report.reliability import reliability_picture

        picture.parent.mkdir(parents=True, exist_ok=True)
        picture.write_bytes(reliability_picture(result))
    if as_json:
        rates = {"flip_rate": result.flips.rate, "probe_rates": {n: one.rate for n, one in result.probes.items()}}
        _print_json(asdict(result) | rates | {"set_aside": len(found.rejected)})
    else:
        from infra.cli.judge_table import print_evaluation

        print_evaluation(result)


def _judge_options(judge: str | None, endpoint: str | None) -> tuple[Dedicated, ...]:
    return (
        Dedicated("--judge", "genrm.model", judge),
        Dedicated("--endpoint", "genrm.endpoint", endpoint),
        Dedicated("--endpoint", "genrm.backend", endpoint and "openai"),
    )


@contextmanager
def _open_judge(settings: Settings) -> Iterator["AskedJudge"]:
    """Raises RewardModelError, RubricError, ModelFilesError, and OSError or ValueError if the model does not load."""
    from trainer.reward_models.judge_answers import AskedGenRM, AskedRewardModel
    from workers.judges.factory import build_judge
    from workers.judges.reward_model import RewardModel, is_reward_model
    from workers.models.model_files import resolve_model

    genrm = settings.genrm
    if genrm.backend != "openai":
        folder = resolve_model(genrm.model, settings.run.prepared, setting="genrm.model")
        if is_reward_model(folder):
            yield AskedRewardModel(RewardModel.load(folder, dtype=genrm.dtype))
            return
    judge = build_judge(genrm, settings.run.prepared)
    try:
        yield AskedGenRM(judge, genrm.batch)
    finally:
        judge.close()


def _show_rejected(rejected: "Sequence[Rejection]") -> None:
    for rejection in rejected[:_SHOWN_REJECTIONS]:
        typer.echo(f"set aside {rejection}", err=True)
    if len(rejected) > _SHOWN_REJECTIONS:
        typer.echo(f"{len(rejected)} rows were set aside in all", err=True)


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2))
