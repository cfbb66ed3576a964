"""Reports the isolation that is in force for programs written by a model, in the log and in a metric.

Invariant: it is reported once per change, not once per process or verdict.
"""

import logging

from infra.metrics import metrics
from workers.sandbox.base import Isolation

log = logging.getLogger(__name__)


def announce(isolation: Isolation) -> None:
    metrics.sandbox_isolation.clear()
    metrics.sandbox_isolation.labels(isolation.name, ", ".join(isolation.missing)).set(1)
    if not isolation.enforced:
        log.error("no program of the model can be judged, since no sandbox works: %s", isolation.why)
    elif isolation.name == "bubblewrap":
        log.info("sandbox: %s", isolation.line)
    else:
        log.warning(
            "PROGRAMS OF THE MODEL RUN WITHOUT FULL ISOLATION: %s. Nothing keeps them from: %s",
            isolation.line,
            ", ".join(CONSEQUENCES[bound] for bound in isolation.missing),
        )


CONSEQUENCES = {
    "network": "reaching the network",
    "files": "reading what this user can read and filling the disk",
    "processes": "starting processes without end",
    "memory": "taking all memory",
    "time": "running on",
    "output": "writing without end",
    "uid": "acting as this user",
    "cgroup": "taking the limits once for each process",
}
"""The consequence of each missing bound."""
