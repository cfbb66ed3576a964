"""`rewardstream prompts check`: what would become of datasets, without a database or a run."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from infra.cli.errors import CommandError, ExitCode
from infra.cli.options import AsJson, Recipe, Set, resolve, run_options
from infra.cli.prompt_counts import require_accepted, show_counts
from infra.cli.prompt_sources import (
    ColumnNames,
    Domain,
    Files,
    Origin,
    RejectedFile,
    Rules,
    Split,
    Verifier,
    data_options,
    defaults_of,
    given_files,
    one_file,
)
from infra.settings.tree import Settings

if TYPE_CHECKING:
    from trainer.prompts.dataset import PromptRow


def check(
    *,
    files: Files = None,
    heldout: Annotated[
        list[str] | None, typer.Option(help="Datasets to measure on, which must share no prompt with the files.")
    ] = None,
    split: Split = "train",
    domain: Domain = None,
    verifier: Verifier = None,
    rules: Rules = None,
    columns: ColumnNames = None,
    origin: Origin = None,
    rejected: RejectedFile = None,
    model: Annotated[
        str | None, typer.Option(help="Folder of the policy, whose context the prompts must fit with a response.")
    ] = None,
    recipe: Recipe = None,
    assignments: Set = None,
    as_json: AsJson = False,
) -> None:
    """Say which format each row of the files has, which scorer it gets, and which rows would be refused, and why.

    Nothing is stored. The exit code is 0 if every row is a prompt, 5 if some are refused, 1 if all are.
    """
    from trainer.prompts.check import check_files
    from trainer.prompts.rejected_rows import RejectedRows

    options = data_options(domain, verifier, rules, columns, origin)
    settings = resolve(recipe, assignments, *options, *run_options(model=model)).settings
    chosen = given_files(files, split, settings)
    chosen += given_files(heldout, "heldout", settings) if heldout else []
    if not chosen:
        raise CommandError("nothing to check: name files, or set data.prompts and data.heldout", ExitCode.USAGE)
    length = _length(settings) if model is not None else None
    counts = check_files(
        ((path, defaults_of(settings, own)) for path, own in chosen),
        one_file(rejected) if rejected is not None else lambda _: RejectedRows(None),
        length,
    )
    for one in counts:
        show_counts(one)
    if as_json:
        print(json.dumps([one.as_dict() for one in counts], indent=2))
    require_accepted(counts)


def _length(settings: Settings) -> "Callable[[PromptRow], str | None]":
    """Returns why a prompt leaves no room for a response in the model's context, or None."""
    from transformers import AutoConfig

    from workers.models.chat import encode_chat, load_tokenizer
    from workers.models.model_files import resolve_model

    folder: Path = resolve_model(settings.model.path, settings.run.prepared)
    tokenizer, sampling = load_tokenizer(folder), settings.rollout.sampling
    own = getattr(AutoConfig.from_pretrained(folder), "max_position_embeddings", None)
    context = min(settings.rollout.engine.max_model_tokens, own or settings.rollout.engine.max_model_tokens)

    def why_too_long(row: "PromptRow") -> str | None:
        asked = sampling.max_new_tokens_by_domain.get(row.domain, sampling.max_new_tokens)
        tokens = len(encode_chat(tokenizer, row.messages))
        if tokens + asked <= context:
            return None
        return (
            f"the prompt has {tokens} tokens, and {asked} new ones (rollout.sampling.max_new_tokens) exceed the "
            f"context of {context} (rollout.engine.max_model_tokens)"
        )

    return why_too_long
