"""`rewardstream prompts route`: changes which scorer a prompt goes to, while a run is going on."""

from typing import Annotated

import typer

from infra.cli.errors import CommandError, ExitCode
from infra.cli.options import DatabaseUrl, Recipe, Set, connections, resolve
from infra.cli.runs import RUNS, RunsFolder, open_engine


def route(
    *,
    domain: Annotated[str | None, typer.Option(help="All prompts of this domain.")] = None,
    prompt_id: Annotated[str | None, typer.Option("--id", help="Prompts whose id begins with this.")] = None,
    verifier: Annotated[str | None, typer.Option(help="Send to RTV, with this verifier.")] = None,
    genrm: Annotated[bool, typer.Option("--genrm", help="Send to the judge, if it has something to judge by.")] = False,
    veto: Annotated[
        str | None, typer.Option(help="With --genrm: a response that this verifier marks wrong scores 0.")
    ] = None,
    recipe: Recipe = None,
    assignments: Set = None,
    database_url: DatabaseUrl = None,
    runs: RunsFolder = RUNS,
) -> None:
    """Send prompts to another scorer. Groups that are already dispatched keep theirs; no process has to be
    restarted.
    """
    from trainer.prompts.rerouting import NewRoute, by_domain, by_id, reroute

    if (domain is None) == (not prompt_id):
        raise CommandError("no prompts named: give either --domain or --id", ExitCode.USAGE)
    if (verifier is None) != genrm or (veto is not None and not genrm):
        raise CommandError(
            "no scorer named: give --verifier NAME, or --genrm with or without --veto NAME", ExitCode.USAGE
        )
    _require_installed(verifier or veto)
    settings = resolve(recipe, assignments, *connections(None, database_url)).settings
    which = by_id(prompt_id) if prompt_id else by_domain(domain or "")
    with open_engine(settings.database, runs) as engine, engine.begin() as connection:
        done = reroute(connection, which, NewRoute(verifier=verifier, veto=veto))
    print(f"{done.changed} prompts changed, {done.same} had this scorer already")
    if done.unfit:
        print(f"{done.unfit} keep their verifier: they have neither a ground truth nor references to judge by")
    if not done.changed and not done.same:
        raise CommandError("no prompt was changed", ExitCode.FAILED)


def _require_installed(name: str | None) -> None:
    from workers.verifiers.registry import verifier_names

    if name is not None and name not in verifier_names():
        installed = ", ".join(verifier_names())
        raise CommandError(f"no verifier {name!r}: installed are {installed}", ExitCode.USAGE)
