"""Prints what is in a dataset: prompts by format, domain and scorer, and refused rows by reason.

Invariant: every row of the file is in exactly one count of accepted or refused rows.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from infra.cli.errors import CommandError, ExitCode

if TYPE_CHECKING:
    from trainer.prompts.dataset_counts import DatasetCounts


def show_counts(counts: "DatasetCounts", said: str = "") -> None:
    from trainer.prompts.scorer_names import NONE

    typer.echo(f"{counts.file}: {said or f'{counts.accepted} prompts'}, {counts.rejected} refused", err=True)
    for (form, domain, scorer), count in sorted(counts.kinds.items()):
        typer.echo(f"  {count:>9}  {form}: {domain} -> {scorer}", err=True)
    unscored = sum(count for (_, _, scorer), count in counts.kinds.items() if scorer == NONE)
    if unscored:
        typer.echo(
            f"  {unscored} have no scorer and stay out of training until `rewardstream prompts references` has picked "
            "a reference for each; or give --verifier",
            err=True,
        )
    for (form, column), count in sorted(counts.ignored.items()):
        typer.echo(f"  column {column} is not read ({form}, {count} rows)", err=True)
    if counts.repeated:
        lines = ", ".join(map(str, counts.repeated_lines))
        typer.echo(f"  {counts.repeated} rows repeat a prompt, the first on line {lines}", err=True)
    for reason in sorted(counts.reasons.values(), key=lambda one: -one.count):
        lines = ", ".join(map(str, reason.lines)) + (", ..." if reason.count > len(reason.lines) else "")
        typer.echo(f"  {reason.count:>9}  refused, line {lines}: {reason.example}", err=True)
    if counts.rejected_file is not None:
        typer.echo(f"  all refused rows are in {counts.rejected_file}", err=True)


def require_accepted(counts: "Sequence[DatasetCounts]") -> None:
    """Raises CommandError if no row was accepted, or some were refused."""
    refused = sum(one.rejected for one in counts)
    if not any(one.accepted for one in counts):
        raise CommandError("no row was accepted", ExitCode.FAILED)
    if refused:
        raise CommandError(f"{refused} rows were refused; the reasons are above", ExitCode.REFUSED)
