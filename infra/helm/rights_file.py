"""Writes the chart's table of rights from streams/rights.py: `python -m infra.helm.rights_file`.

Invariant: the file holds what `rewardstream topics rights` prints, with PREFIX and RUN in the place of a run's names,
which the chart fills in.
"""

import json
from pathlib import Path
from typing import Any

from streams.rights import RIGHTS, Right, rights_of

FILE = Path(__file__).parent / "rewardstream" / "files" / "rights.json"
OPERATIONS = {
    "READ": "Read",
    "WRITE": "Write",
    "CREATE": "Create",
    "DESCRIBE": "Describe",
    "DESCRIBE_CONFIGS": "DescribeConfigs",
}
"""Kafka's name -> Strimzi's."""


def rights_json() -> str:
    """The rules of each service's user, one of a resource, in Strimzi's words."""
    table = {str(service): _rules(rights_of(service, "PREFIX", "RUN")) for service in RIGHTS}
    return json.dumps(table, indent=1) + "\n"


def _rules(rights: list[Right]) -> list[dict[str, Any]]:
    rules: dict[tuple[str, str, bool], list[str]] = {}
    for right in rights:
        rules.setdefault((right.resource, right.name, right.prefixed), []).append(OPERATIONS[right.operation])
    return [
        {
            "type": resource.lower(),
            "name": name,
            "patternType": "prefix" if prefixed else "literal",
            "operations": operations,
        }
        for (resource, name, prefixed), operations in rules.items()
    ]


if __name__ == "__main__":
    FILE.write_text(rights_json(), encoding="utf-8")
