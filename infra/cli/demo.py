"""`rewardstream demo`: from nothing to a trained model and its report, in one command."""

import time
from typing import TYPE_CHECKING, Annotated

import psutil
import typer

from infra.cli.doctor import require_startable
from infra.cli.options import (
    BootstrapServers,
    DatabaseUrl,
    DryRun,
    Minutes,
    NoScreen,
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
from infra.cli.train import go_on
from infra.local.interrupts import interrupt_once
from infra.settings.load import with_changes
from infra.settings.tree import Settings

if TYPE_CHECKING:
    from infra.cli.prepare_process import PreparedFiles
    from infra.demo.prepare import Prepared


def demo(
    *,
    recipe: Annotated[
        str | None,
        typer.Option(help="A TOML recipe, the name of a packaged one, or several such as demo,grpo; `demo` if none."),
    ] = None,
    seed: Seed = None,
    minutes: Minutes = None,
    no_screen: NoScreen = False,
    assignments: Set = None,
    bootstrap_servers: BootstrapServers = None,
    database_url: DatabaseUrl = None,
    run_folder: RunFolder = None,
    resume: Resume = None,
    dry_run: DryRun = False,
) -> None:
    """Train a small model on this machine in ten minutes, with every part real, and report what it learned."""
    if resume is not None:
        dedicated = (*connections(bootstrap_servers, database_url), *run_options(seed=seed, minutes=minutes))
        root = run_folder or RUNS
        go_on(resume, root, assignments, dedicated, {"--recipe": recipe}, no_screen=no_screen, dry_run=dry_run)
        return
    resolved = resolve(
        recipe or "demo",
        assignments,
        *connections(bootstrap_servers, database_url),
        *run_options(seed=seed, minutes=minutes, run_folder=run_folder),
    )
    if dry_run:
        print_dry_run(resolved)
        require_startable(resolved.settings, cheaply=True)
        return
    require_startable(resolved.settings)
    with interrupt_once():
        run(resolved.settings, screen=False if no_screen else None)


def run(settings: Settings, *, screen: bool | None) -> None:
    """Raises CommandError if the run fails, KeyboardInterrupt if it was stopped."""
    started = psutil.Process().create_time()
    from infra.cli.prepare_process import prepare_apart
    from infra.cli.run_whole import Preparation, execute

    print("preparing: policy, judge and prompts, once", flush=True)
    prepared = prepare_apart(settings)
    seconds = time.time() - started
    preparation = Preparation(seconds=seconds, base_scores=prepared.base_scores, report=prepared.report)
    execute(with_prepared(settings, prepared), preparation, started, screen=screen)


def with_prepared(settings: Settings, prepared: "Prepared | PreparedFiles") -> Settings:
    """The settings with the prepared policy, judge and prompts."""
    return with_changes(
        settings,
        model={"path": str(prepared.policy)},
        genrm={"model": str(prepared.judge)},
        data={"prompts": str(prepared.prompts), "heldout": str(prepared.heldout)},
    )
