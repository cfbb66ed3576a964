"""`rewardstream experiment NAME`: a question about the method, answered by many small runs."""

import os
from pathlib import Path
from typing import Annotated

import typer

from infra.cli.errors import CommandError, ExitCode
from infra.cli.options import Set
from infra.settings.sources import parse_assignment


def experiment(
    *,
    name: Annotated[str | None, typer.Argument(help="The experiment; --list names them all.")] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Seeds per arm, in place of the experiment's own.")] = None,
    out: Annotated[
        Path, typer.Option(help="Folder of the page, its picture and the results, which a later call continues.")
    ] = Path("runs/experiments"),
    work: Annotated[Path, typer.Option(help="Folder of the runs themselves, and of the fitted policies.")] = Path(
        "runs/lab"
    ),
    arms: Annotated[list[str] | None, typer.Option("--arm", help="Only this arm; may be given several times.")] = None,
    assignments: Set = None,
    list_: Annotated[bool, typer.Option("--list", help="Print the experiments with their arms.")] = False,
) -> None:
    """Answer a question about the method by runs of a tiny policy on synthetic tasks, and write a page about it.

    Runs that are finished are not made again, so that the command can be interrupted and repeated.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # services are threads of one process, which would share them
    from infra.lab.experiments.catalogue import EXPERIMENTS

    if list_ or name is None:
        for each in EXPERIMENTS.values():
            print(f"{each.name}: {each.title}; {each.seeds} seeds")
            for arm in each.arms:
                print(f"  {arm.name}: {arm.label}")
        return
    if name not in EXPERIMENTS:
        raise CommandError(f"no experiment {name!r}; there are {', '.join(EXPERIMENTS)}", ExitCode.USAGE)
    chosen = EXPERIMENTS[name]
    unknown = set(arms or ()) - {arm.name for arm in chosen.arms}
    if unknown:
        known = ", ".join(arm.name for arm in chosen.arms)
        raise CommandError(f"{name} has no arm {', '.join(sorted(unknown))}; it has {known}", ExitCode.USAGE)
    from infra.lab.laboratory import Place, run_experiment

    changes = {option.path: option.value for option in map(parse_assignment, assignments or [])}
    page = run_experiment(
        chosen, Place(out, work), seeds or chosen.seeds, _say, arms=tuple(arms or ()), changes=changes
    )
    print(page)


def _say(text: str) -> None:
    print(text, flush=True)
