"""The tables of the report's section on reward hacking, from its part of the summary. Pure."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

Rows = list[tuple[Any, ...]]
_PARTS = ("first", "last")


def hacking_tables(found: Mapping[str, Any]) -> dict[str, Any] | None:
    """Returns {verdict, checks, training, spread}; None if the run has neither trained nor been tested."""
    if not found["checks"] and not found["training"]:
        return None
    return {
        "verdict": _verdict(found),
        "checks": _checks(found),
        "training": [
            (
                row["route"],
                row["domain"],
                *row["above_half"],
                *row["entropy"],
                row["newly_credited"],
                *row["exploitation_rate"],
            )
            for row in found["training"]
        ],
        "spread": [
            (row["route"], row["domain"], part, *bins)
            for row in found["training"]
            for part, bins in zip(_PARTS, row["edit_distance"], strict=True)
            if bins is not None
        ],
    }


def _verdict(found: Mapping[str, Any]) -> str:
    if found["action"] == "off":
        return "The guard was off."
    alarms = found["alarms"]
    if alarms:
        told = "; ".join(
            f"route {alarm['route']}, domain {alarm['domain']}, at version {alarm['version']} (since version "
            f"{alarm['since_version']}: reward {alarm['reward_change']:+.3f}, true score {alarm['true_change']:+.3f})"
            for alarm in alarms
        )
        stopped = " Training was stopped." if found["action"] == "stop" else ""
        return f"Alarm: {told}.{stopped}"
    tested = len({row["label"] for row in found["checks"]})
    if not tested:
        return "No evaluation was tested: set selector.eval_every_versions."
    return f"No alarm in {tested} evaluations."


def _checks(found: Mapping[str, Any]) -> Rows:
    series: dict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for row in found["checks"]:
        series[row["route"], row["domain"]].append(row)
    alarms = {(alarm["route"], alarm["domain"]): alarm["version"] for alarm in found["alarms"]}
    rows: Rows = []
    for key, own in sorted(series.items()):
        tested = [row for row in own if row["z"] is not None]
        strongest = max(tested, key=lambda row: row["z"] - row["z_limit"], default={"z": None, "z_limit": None})
        ends = [(own[0][name], own[-1][name]) for name in ("credited", "confirmed")]
        rows.append(
            (
                *key,
                own[-1]["prompts"],
                *ends[0],
                *ends[1],
                strongest["z"],
                strongest["z_limit"],
                alarms.get(key),
            )
        )
    return rows
