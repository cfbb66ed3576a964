"""`rewardstream doctor`, and the checks before `train`, `demo` and `up` start anything."""

import json
import sys
from dataclasses import asdict

import typer

from infra.cli.errors import CommandError, ExitCode
from infra.cli.options import AsJson, BootstrapServers, DatabaseUrl, Recipe, Set, connections, resolve, run_options
from infra.preflight.finding import Finding, Level
from infra.settings.tree import Settings

_MARKS = {Level.OK: "ok  ", Level.NOTE: "note", Level.FAILURE: "FAIL"}


def doctor(
    *,
    recipe: Recipe = None,
    model: str | None = typer.Option(None, help="Folder of the policy, as transformers loads it."),
    assignments: Set = None,
    bootstrap_servers: BootstrapServers = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Print the machine, what is installed and missing, and whether a run with these settings could start.

    Exit code 0: it could. 2: a setting is wrong. 3: something is missing.
    """
    from infra.preflight.machine import installed, machine, name_clashes

    options = (*connections(bootstrap_servers, database_url), *run_options(model=model))
    settings = resolve(recipe, assignments, *options).settings
    about, packages, findings = machine(settings.run.folder), installed(), [*name_clashes(), *check(settings)]
    if as_json:
        listed = [asdict(finding) for finding in findings]
        print(json.dumps({"machine": about, "packages": packages, "checks": listed}, indent=2))
    else:
        for name, value in (about | packages).items():
            print(f"{name:<20} {value}")
        for finding in findings:
            print(f"{_MARKS[finding.level]} {finding}")
    if failures := _failures(findings):
        raise CommandError(f"{len(failures)} of the checks failed", _code(failures))


def check(settings: Settings) -> list[Finding]:
    """All checks; the thorough ones only if the cheap ones have passed, since they would fail of the same cause."""
    from infra.preflight.cheap import check_cheaply
    from infra.preflight.thorough import check_thoroughly

    cheap = check_cheaply(settings)
    return cheap if _failures(cheap) else [*cheap, *check_thoroughly(settings)]


def require_startable(settings: Settings, *, cheaply: bool = False) -> None:
    """Call before anything starts. Prints notes; raises CommandError if the run cannot start. `cheaply`: without what
    loads a tokenizer or asks a server.
    """
    from infra.preflight.cheap import check_cheaply

    findings = check_cheaply(settings) if cheaply else check(settings)
    for finding in findings:
        if finding.level is Level.NOTE:
            print(f"note: {finding}", file=sys.stderr, flush=True)
    if failures := _failures(findings):
        raise CommandError("the run cannot start:\n" + "\n".join(f"  {one}" for one in failures), _code(failures))


def _failures(findings: list[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.level is Level.FAILURE]


def _code(failures: list[Finding]) -> ExitCode:
    return ExitCode.USAGE if any(one.by_settings for one in failures) else ExitCode.UNREACHABLE
