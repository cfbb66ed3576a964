"""`rewardstream audit`: checks the delivery promise in a run's log and database."""

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.cli.errors import CommandError, ExitCode
from infra.cli.options import AsJson, BootstrapServers, connections, resolve
from infra.cli.runs import RUNS, RunName, RunPlace, RunsFolder, engine_of, find_run
from infra.settings.tree import Settings

if TYPE_CHECKING:
    from trainer.audit.audit import AuditReport

_MOST_VIOLATIONS = 50


def audit(
    *,
    run: RunName = "latest",
    runs: RunsFolder = RUNS,
    bootstrap_servers: BootstrapServers = None,
    as_json: AsJson = False,
) -> None:
    """Prove that every group of a run ended in one outcome and trained at most once, or name those that did not.

    If the log is gone with its broker, the report that was stored at the end of the run is shown, and says so.
    """
    place = find_run(run, runs)
    settings = resolve(str(place.folder / "settings.json"), None, *connections(bootstrap_servers, None)).settings
    report = _audit_run(place, settings, runs)
    if as_json:
        print(json.dumps(report.as_dict(), indent=2))
    else:
        _print_report(report)
    if not report.sound:
        raise CommandError(f"{len(report.violations)} violations in run {place.run_id}", ExitCode.FAILED)


def _audit_run(place: RunPlace, settings: Settings, runs: Path) -> "AuditReport":
    """Audits the run's log, for which a local Kafka that is down is started; or its stored report, if the log is gone.

    Raises CommandError if there is neither.
    """
    from streams.clients import BrokerUnavailableError
    from trainer.audit.audit import audit_or_stored

    try:
        with engine_of(place, runs) as engine, _open_log_or_none(place, settings, runs) as bootstrap:
            return audit_or_stored(settings, bootstrap, engine, place.folder)
    except (BrokerUnavailableError, LookupError) as error:
        raise CommandError(
            f"run {place.run_id} cannot be audited: {error.args[0]}. No audit was stored when it ended",
            ExitCode.UNREACHABLE,
        ) from error


@contextmanager
def _open_log_or_none(place: RunPlace, settings: Settings, runs: Path) -> Iterator[str]:
    """Yields the address of the broker that has the log; if none has it, the address in the settings, where the audit
    then finds nothing.
    """
    from infra.cli.logs import open_log
    from infra.local.processes import LocalStackError
    from streams.clients import BrokerUnavailableError

    with ExitStack() as stack:
        try:
            bootstrap = stack.enter_context(open_log(place, settings, runs))
        except (CommandError, BrokerUnavailableError, LocalStackError) as error:
            print(f"{error}", file=sys.stderr)
            bootstrap = settings.broker.bootstrap_servers
        yield bootstrap


def _print_report(report: "AuditReport") -> None:
    rows: dict[str, Any] = {
        "run": f"{report.run_id}, {'finished' if report.finished else 'not finished'}",
        "from": report.source,
        "groups": {purpose: dict(outcomes) for purpose, outcomes in report.groups.items()},
        "checked": report.counts,
        "dead letters": report.dead_letters or "none",
    }
    for name, value in rows.items():
        print(f"{name}: {_format_inline(value)}")
    for gap in report.unprovable:
        print(f"not provable: {gap}")
    for violation in report.violations[:_MOST_VIOLATIONS]:
        print(f"violation: {violation.kind} {violation.group}: {violation.detail}")
    print(f"{len(report.violations) or 'no'} violation{'' if len(report.violations) == 1 else 's'}")


def _format_inline(value: Any) -> str:
    if not isinstance(value, dict):
        return str(value)
    parts = (
        f"{name} ({_format_inline(count)})" if isinstance(count, dict) else f"{name} {count}"
        for name, count in value.items()
    )
    return ", ".join(parts)
