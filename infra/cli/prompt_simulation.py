"""`rewardstream prompts simulate`: what other selection rules would have sent in a run, from its recorded groups."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from infra.cli.errors import CommandError, ExitCode
from infra.cli.options import AsJson
from infra.cli.runs import RUNS, RunName, RunsFolder, engine_of, find_run

if TYPE_CHECKING:
    from trainer.curriculum.simulate import RateEstimate, SimulatedRule


def simulate(
    *,
    rule: Annotated[list[str], typer.Option(help="A selection rule; may be repeated.")],
    keep_share: Annotated[
        float | None, typer.Option(help="Fraction in (0, 1] that each rule keeps; the run's own if not given.")
    ] = None,
    run: RunName = "latest",
    runs: RunsFolder = RUNS,
    as_json: AsJson = False,
) -> None:
    """Replay a run's selections under other rules: the groups that each would have sent, how many of them had no
    spread, and at what reward. Only recorded outcomes are used.
    """
    from trainer.curriculum.recorded_run import NothingRecordedError, choices_of_rules, read_recorded_run
    from trainer.curriculum.rules.registry import SelectionRuleError, open_rule
    from trainer.curriculum.simulate import simulate as estimate
    from trainer.curriculum.simulate import what_the_log_says

    if keep_share is not None and not 0 < keep_share <= 1:
        raise CommandError(f"--keep-share {keep_share}: a fraction above 0, at most 1", ExitCode.USAGE)
    place = find_run(run, runs)
    try:
        for name in rule:
            open_rule(name, place.settings.selector.preppo.options.get(name, {}))
    except SelectionRuleError as error:
        raise CommandError(str(error), ExitCode.USAGE) from error
    with engine_of(place, runs) as engine, engine.connect() as connection:
        try:
            recorded = read_recorded_run(connection, place.settings)
        except NothingRecordedError as error:
            raise CommandError(str(error)) from error
        choices = choices_of_rules(connection, place.run_id, recorded, _changes(rule, keep_share))
    selected = sum(at.selected for at in recorded.rounds) / len(recorded.rounds)
    found = estimate(recorded.groups, recorded.sent, choices, run_selected=selected)
    told = what_the_log_says(found, rounds=len(recorded.rounds), drew_at_random=recorded.drew_at_random)
    if as_json:
        rows = [asdict(one) | {"unknown": one.unknown, "coverage": one.coverage} for one in found]
        print(json.dumps({"run": place.run_id, "rules": rows, "statement": told}, indent=2))
    else:
        _print_table(found, told)


def _changes(rules: Sequence[str], keep_share: float | None) -> dict[str, Mapping[str, Any]]:
    kept = {} if keep_share is None else {"keep_share": keep_share}
    alone = {"enabled": True, "mixture": {}, "rule_by_domain": {}}
    return {name: alone | {"rule": name} | kept for name in rules}


def _print_table(found: "Sequence[SimulatedRule]", told: Sequence[str]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bright_black", padding=(0, 2, 0, 0))
    table.add_column("rule")
    for name in ("prompts", "groups", "known", "no spread", "spread", "reward", "spread - run", "reward - run"):
        table.add_column(name, justify="right")
    for one in found:
        counts = (f"{one.selected:.0f}", f"{one.groups:.0f}", f"{one.known:.0f} ({one.coverage:.0%})")
        without = "-" if one.without_spread is None else f"{one.without_spread:.0f}"
        rates = (_shown(one.spread), _shown(one.reward))
        differences = (_shown(one.spread_difference, "+"), _shown(one.reward_difference, "+"))
        table.add_row(one.rule, *counts, without, *rates, *differences)
    console = Console()
    console.print(table)
    for line in told:
        console.print(line, highlight=False)


def _shown(rate: "RateEstimate", sign: str = "") -> str:
    if rate.mean is None or rate.low is None or rate.high is None:
        return "-"
    return f"{rate.mean:{sign}.2f} [{rate.low:{sign}.2f}, {rate.high:{sign}.2f}]"
