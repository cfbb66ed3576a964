"""The options that say how foreign data is read, and the files and defaults that follow from them and the settings.

Invariant: `prompts check`, `prompts ingest` and `train` read a dataset in the same way, so what was checked is what is
trained on.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from infra.cli.errors import CommandError, ExitCode
from infra.cli.options import Dedicated
from infra.settings.tree import Settings

if TYPE_CHECKING:
    from trainer.prompts.dataset import Defaults
    from trainer.prompts.rejected_rows import RejectedRows

Files = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[FILE]...",
        help="Files, folders, patterns or hf://ORG/NAME/SPLIT; without any, data.prompts and data.heldout.",
    ),
]
Split = Annotated[str, typer.Option(help="Split of rows that do not name one: train or heldout.")]
Domain = Annotated[str | None, typer.Option(help="Domain of rows that name none.")]
Verifier = Annotated[
    str | None, typer.Option(help="Verifier of rows that name neither one nor a known source; genrm is the judge.")
]
Rules = Annotated[
    list[str] | None, typer.Option("--rule", metavar="SOURCE=VERIFIER", help="Verifier of rows from this source.")
]
ColumnNames = Annotated[
    list[str] | None, typer.Option("--column", metavar="NEW=OLD", help="Read the file's column OLD as NEW.")
]
Origin = Annotated[
    str | None, typer.Option(help="Origin of rows that do not name one: new (Pre-PPO selects among them) or original.")
]
RejectedFile = Annotated[
    Path | None, typer.Option("--rejected", help="File for refused rows; without it, one per dataset in runs/rejected.")
]


def data_options(
    domain: str | None, verifier: str | None, rules: list[str] | None, columns: list[str] | None, origin: str | None
) -> tuple[Dedicated, ...]:
    """Raises CommandError."""
    return (
        Dedicated("--domain", "data.domain", domain),
        Dedicated("--verifier", "data.verifier", verifier),
        Dedicated("--rule", "data.rules", _pairs("--rule", rules)),
        Dedicated("--column", "data.columns", _pairs("--column", columns)),
        Dedicated("--origin", "data.origin", origin),
    )


def given_files(sources: Sequence[str] | None, split: str, settings: Settings) -> list[tuple[Path, str]]:
    """The files of the sources with their split; without sources, those of data.prompts and data.heldout. Raises
    DatasetError, CommandError.
    """
    from trainer.prompts.dataset_sources import dataset_files

    if split not in ("train", "heldout"):
        raise CommandError(f"--split {split}: allowed are train and heldout", ExitCode.USAGE)
    data = settings.data
    named = [(source, split) for source in sources or ()]
    configured = [(str(path), own) for path, own in ((data.prompts, "train"), (data.heldout, "heldout")) if path]
    return [(file, own) for source, own in named or configured for file in dataset_files(source)]


def defaults_of(settings: Settings, split: str) -> "Defaults":
    """Raises CommandError if a setting names a verifier that is not installed."""
    from trainer.prompts.dataset import Defaults
    from trainer.prompts.formats.scorer_rules import GENRM, ScorerRules
    from workers.verifiers.registry import verifier_names

    data, installed = settings.data, tuple(verifier_names())
    for name in (data.verifier, *data.rules.values()):
        if name and name not in (*installed, GENRM):
            raise CommandError(
                f"no verifier {name!r}: installed are {', '.join(installed)}, and {GENRM} is the judge", ExitCode.USAGE
            )
    return Defaults(
        split=split,
        origin=data.origin,
        domain=data.domain or None,
        rules=ScorerRules(data.rules, data.verifier or None),
        columns=data.columns,
        verifiers=installed,
        largest_bytes=settings.broker.max_message_bytes // 2,
    )


def one_file(path: Path) -> "Callable[[Path], RejectedRows]":
    """Refused rows of all datasets go to one file, which is begun anew."""
    from trainer.prompts.rejected_rows import RejectedRows

    path.unlink(missing_ok=True)
    return lambda _: RejectedRows(path, append=True)


def _pairs(option: str, texts: list[str] | None) -> dict[str, str] | None:
    """Raises CommandError."""
    if not texts:
        return None
    pairs = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name or not value:
            raise CommandError(f"{option} {text}: give NAME=VALUE", ExitCode.USAGE)
        pairs[name] = value
    return pairs
