"""Tells Prometheus where the services of a local run serve their metrics, in the format of its file_sd.

Invariant: the file names the targets of a run that goes on, as a whole; once the run has ended, there is none, so that
nobody is warned of services that are meant to be gone. A file that cannot be written or removed is said, and does not
end the run.
"""

import json
import logging
from collections.abc import Mapping
from pathlib import Path

from infra.files.replace import replace_file
from infra.local.ports import LOOPBACK

log = logging.getLogger(__name__)

TARGETS_FILE = "prometheus-targets.json"
"""In the run's folder; infra/prometheus/prometheus.yml reads that of runs/latest."""

SUPERVISOR = "supervisor"
"""Name of the target that serves the supervisor's own metrics."""


def write_targets(folder: Path, ports: Mapping[str, int]) -> None:
    """`folder`: the run's; `ports`: service -> port of its metrics."""
    groups = [
        {"targets": [f"{LOOPBACK}:{port}"], "labels": {"service": service, "run": folder.name}}
        for service, port in ports.items()
    ]
    try:
        replace_file(folder / TARGETS_FILE, json.dumps(groups, indent=1).encode())
    except OSError as error:
        log.warning("%s is not written, Prometheus does not find the services: %s", folder / TARGETS_FILE, error)


def remove_targets(folder: Path) -> None:
    try:
        (folder / TARGETS_FILE).unlink(missing_ok=True)
    except OSError as error:
        log.warning("%s stays, remove it by hand: %s", folder / TARGETS_FILE, error)
