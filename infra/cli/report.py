"""`rewardstream report`: summary and page of a run, made again from its stored data."""

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from infra.cli.errors import CommandError, ExitCode
from infra.cli.options import AsJson
from infra.cli.runs import RUNS, RunName, RunsFolder, engine_of, find_run

if TYPE_CHECKING:
    from infra.report.summary import RunFacts


def report(*, run: RunName = "latest", runs: RunsFolder = RUNS, as_json: AsJson = False) -> None:
    """Write a run's summary.json and report.html again, also if the run is going on or was stopped."""
    from infra.cli.table import print_summary
    from infra.report.build import read_facts, write_report
    from infra.report.collect import collect

    place = find_run(run, runs)
    facts = read_facts(place.folder)
    if facts is None:
        raise CommandError(
            f"{place.folder} has no facts.json: the run was not started by `demo` or `train`", ExitCode.UNREACHABLE
        )
    with engine_of(place, runs) as engine:
        try:
            record = collect(engine, place.settings, place.folder)
        except LookupError as error:
            raise CommandError(f"{error.args[0]}: its selector never started", ExitCode.UNREACHABLE) from error
    summary = write_report(place.folder, record, _filled(facts, place.folder))
    if as_json:
        print(json.dumps(summary, indent=2))
    else:
        print_summary(summary, place.folder)


def _filled(facts: "RunFacts", folder: Path) -> "RunFacts":
    """The facts of a run that was stopped: its command could not write how long it took, nor that it was audited
    later.
    """
    from infra.report import history

    rows = history.read(folder)
    seconds = max(facts.wall_seconds, float(rows[-1]["seconds"]) if rows else 0.0)
    audit = folder / "audit.json"
    found = json.loads(audit.read_bytes()) if not facts.audit and audit.is_file() else facts.audit
    return replace(facts, wall_seconds=seconds, audit=found)
