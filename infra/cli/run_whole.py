"""Executes a whole run in this process: stack, prompts, services, audit, report.

Invariant: however the run ends, nothing that was started for it is left running.
"""

import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from infra.cli.errors import CommandError
from infra.cli.prompts import ingest_unless_begun
from infra.cli.resume import how_to_go_on
from infra.cli.table import print_summary
from infra.cli.watch import broker_text, require_finished, watch
from infra.db.engine import connect
from infra.local.stack import Stack
from infra.report.build import finish, read_facts, write_facts, write_report
from infra.report.collect import RunRecord, collect
from infra.report.history import FILE_NAME
from infra.report.summary import RunFacts
from infra.settings.tree import Settings
from streams.clients import BrokerUnavailableError
from trainer.audit.audit import audit_run, save


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """The result of the preparation that came before the run."""

    seconds: float = 0.0
    base_scores: Mapping[str, float] = field(default_factory=dict)
    report: Mapping[str, Any] = field(default_factory=dict)


def execute(settings: Settings, preparation: Preparation, started: float, *, screen: bool | None) -> None:
    """Executes a run from the prompts to the report. `started`: start of the command, in Unix seconds. Raises
    CommandError if the run fails, KeyboardInterrupt if it was stopped, and what starting a stack raises.
    """
    prepared = Stack(settings)
    former = read_facts(prepared.folder)
    try:
        with prepared as stack:
            folder = stack.folder
            facts = _run_facts(stack, preparation, started) if former is None else _after_pause(former, folder, started)
            started = facts.started_at + sum(until - since for since, until in facts.pauses)
            print(f"run {stack.run_id} in {folder}{'' if former is None else ' goes on'}", flush=True)
            write_facts(folder, facts)
            record, facts = _run_to_end(stack, facts, started, screen=screen)
    except KeyboardInterrupt:
        print(how_to_go_on(prepared.settings), file=sys.stderr, flush=True)
        raise
    except CommandError as error:
        raise CommandError(f"{error}\n{how_to_go_on(prepared.settings)}", error.code) from error
    summary = write_report(folder, record, replace(facts, wall_seconds=time.time() - started))
    wall_seconds = time.time() - started
    finish(folder, summary, facts, wall_seconds)
    print_summary(summary | {"wall_seconds": wall_seconds}, folder)


def _run_to_end(stack: Stack, facts: RunFacts, started: float, *, screen: bool | None) -> tuple[RunRecord, RunFacts]:
    """Runs to the end and audits. The audit reads the log, so it has to come before the broker is stopped."""
    database = stack.settings.database
    engine = connect(database.full_url(), database.connect_timeout_seconds)
    try:
        ingest_unless_begun(engine, stack.settings)
        require_finished(watch(stack, started, screen=screen))
        assert stack.supervisor is not None
        restarts = Counter(facts.restarts)
        restarts.update({service.name: service.restarts for service in stack.supervisor.snapshot() if service.restarts})
        report = audit_run(stack.settings, stack.broker.bootstrap, engine)
        save(report, stack.folder)
        _keep_for_page(stack)
        record = collect(engine, stack.settings, stack.folder)
        return record, replace(facts, restarts=dict(restarts), audit=report.as_dict())
    finally:
        engine.dispose()


def _keep_for_page(stack: Stack) -> None:
    """A log in memory ends with its broker; the page shows the tokens of the newest rollouts all the same."""
    from infra.page.readers.kept_rollouts import keep_rollouts

    if stack.broker.durable or not stack.settings.page.enabled:
        return
    try:
        keep_rollouts(stack.settings, stack.broker.bootstrap, stack.folder)
    except (BrokerUnavailableError, OSError) as error:  # the run is sound without
        print(f"the page of this run will show no tokens: {error}", file=sys.stderr, flush=True)


def _run_facts(stack: Stack, preparation: Preparation, started: float) -> RunFacts:
    return RunFacts(
        wall_seconds=preparation.seconds,
        prepare_seconds=preparation.seconds,
        broker=broker_text(stack),
        seed=stack.settings.run.seed,
        base_scores=dict(preparation.base_scores),
        prepare_report=dict(preparation.report),
        started_at=started,
    )


def _after_pause(former: RunFacts, folder: Path, started: float) -> RunFacts:
    """The facts of a run that goes on at `started`: it was down since it last wrote its time series."""
    series = folder / FILE_NAME
    seen = series.stat().st_mtime if series.is_file() else started
    return replace(
        former,
        started_at=former.started_at or seen,
        pauses=(*former.pauses, (min(seen, started), started)),
    )
