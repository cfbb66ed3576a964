"""`rewardstream audit`: the promise, checked in a run's log and database."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any


from infra.cli.errors import CommandError, ExitCode
from infra.cli.options import AsJson, BootstrapServers, connections, resolve
from infra.cli.runs import RUNS, RunName, RunsFolder, engine_of, find_run
from infra.settings.tree import Settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

FILE_NAME = "audit.json"


def audit(
    *,
    run: RunName = "latest",
    runs: RunsFolder = RUNS,
    bootstrap_servers: BootstrapServers = None,
    as_json: AsJson = False,
) -> None:
    """Prove that every group of a run ended in one outcome and trained at most once, or name those that did not.

    Where the run's broker kept nothing over its end, the audit that was made at the end of the run is shown.
    """
    from streams.clients import BrokerUnavailableError

    place = find_run(run, runs)
    file = str(place.folder / "settings.json")
    settings = resolve(file, None, *connections(bootstrap_servers, None)).settings
    try:
        with engine_of(place, runs) as engine:
            result = audit_run(settings, engine)
    except BrokerUnavailableError as error:
        result = _kept(place.folder, error)
    if as_json:
        print(json.dumps(result, indent=2))
    else:
        _print(result)
    if result["violations"]:
        raise CommandError(f"{len(result['violations'])} violations in run {place.run_id}", ExitCode.FAILED)


def audit_run(settings: Settings, engine: "Engine") -> dict[str, Any]:
    """As JSON. Raises BrokerUnavailableError."""
    import msgspec

    from trainer.audit import audit as check

    result: dict[str, Any] = msgspec.to_builtins(check(settings, settings.broker.bootstrap_servers, engine))
    return result


def _kept(folder: Path, error: Exception) -> dict[str, Any]:
    file = folder / FILE_NAME
    if not file.is_file():
        raise error
    result: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return result


def _print(result: dict[str, Any]) -> None:
    for name, value in result.items():
        if name != "violations":
            print(f"{name}: {value}")
    for violation in result["violations"]:
        print(f"violation: {violation}")
    if not result["violations"]:
        print("no violation")
