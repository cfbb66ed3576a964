"""`rewardstream replay`: a second learner on a run's log."""

from typing import Annotated

import typer

from infra.cli.errors import CommandError, ExitCode
from infra.cli.options import BootstrapServers, DryRun, Seed, Set, connections, run_options
from infra.cli.runs import RUNS, RunName, RunsFolder
from infra.cli.train import Model, Scores


def replay(
    *,
    run: RunName = "latest",
    begin: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="GROUP|TIME|VERSION",
            help="Where to begin: a group's number (its offset in the order of dispatch), such as 120; a time, such as "
            "2026-03-01T12:00; or a version, such as v12, with its weights. The log's beginning if not given.",
        ),
    ] = None,
    scores: Scores = None,
    model: Model = None,
    seed: Seed = None,
    assignments: Set = None,
    bootstrap_servers: BootstrapServers = None,
    runs: RunsFolder = RUNS,
    resume: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Go on with a replay that was stopped: the id that it printed at its start."),
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Train a second learner on a run's log, also while that run goes on, up to the present end of the log.

    The run's own settings and model hold, except for --set and --model: reproduce its curve, find where it went wrong,
    or try other settings on the same trajectories. Groups are taken in the order of dispatch, so two replays with the
    same settings make the same batches. Nothing is written to the run.
    """
    from infra.cli.retrain import go_on_again, train_again

    if resume is None:
        train_again(
            run,
            scores or "",
            runs,
            assignments,
            (*connections(bootstrap_servers, None), *run_options(seed=seed, model=model)),
            begin=begin,
            dry_run=dry_run,
        )
        return
    given = {"--from": begin, "--scores": scores, "--model": model, "--seed": seed, "--set": assignments}
    if refused := [name for name, value in given.items() if value is not None]:
        raise CommandError(
            f"--resume goes on with the settings of {resume}; {', '.join(refused)} cannot change them: start another "
            "replay",
            ExitCode.USAGE,
        )
    go_on_again(resume, runs, bootstrap_servers)
