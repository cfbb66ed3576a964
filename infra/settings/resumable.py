"""Which settings a run may change when it is resumed.

Invariant: nothing here changes what a rollout, a verdict or an update is, so that the whole run has one description:
its settings.json. A change of anything else is a run of its own.
"""

from infra.settings.broker_security import BrokerSecuritySettings
from infra.settings.load import leaves
from infra.settings.tree import Settings

RESUMABLE = {
    "broker.bootstrap_servers": "the brokers of the same cluster may have other addresses",
    "broker.kafka_home": "the local Kafka may lie in another folder, and be newer",
    "broker.security": "certificates and passwords are replaced",
    "broker.session_timeout_seconds": "a wait",
    "broker.connect_timeout_seconds": "a wait",
    "broker.request_timeout_seconds": "a wait",
    "broker.outage_seconds": "a wait",
    **dict.fromkeys(
        (f"broker.security.{name}" for name in BrokerSecuritySettings.model_fields),
        "the same cluster may be reached by another listener or user",
    ),
    "database.url": "the same database may have another address",
    "database.password": "a password may be replaced",
    "database.password_file": "a password may be replaced",
    "database.connect_timeout_seconds": "a wait",
    "database.outage_seconds": "a wait",
    "rollout.engine.max_running": "how many samples share a pass changes the speed alone",
    "rollout.engine.threads": "the machine may have other cores",
    "rtv.workers": "the machine may have other cores",
    "genrm.endpoint": "the same judge may be served elsewhere",
    "genrm.api_key": "a key may be replaced",
    "genrm.api_key_file": "a key may be replaced",
    "weights.signing_key_file": "a key may be replaced",
    "weights.places": "weights may be read from more places",
    "genrm.connections": "how many requests wait for the judge changes the speed alone",
    "genrm.threads": "the machine may have other cores",
    "selector.max_steps": "when training ends",
    "selector.max_groups": "when training ends",
    "selector.max_train_seconds": "when training ends",
    "learner.threads": "the machine may have other cores",
    "learner.processes": "a checkpoint loads on any number of processes",
    "learner.checkpoint_every": "how much a crash repeats",
    "learner.keep_checkpoints": "how much disk the run takes",
    "learner.loggers": "where the curves are drawn",
    "metrics.host": "who may read the metrics",
    "metrics.port": "who may read the metrics",
    "logs.format": "how the logs look",
    "page.enabled": "whether people look at it",
    "page.host": "who may look at it",
    "page.port": "who may look at it",
    "tracing.endpoint": "where traces go",
    "tracing.ratio": "how many groups are traced",
    "tracing.queue": "how many spans may wait",
    "tracing.timeout_seconds": "a wait",
    "run.folder": "the folder may have been moved",
    "run.prepared": "the folder may have been moved",
}
"""Dotted path -> why it may change."""

_FIXED = {
    "data": "the run has its prompts already; ingest more of them with a run of their own",
    "topics": "the run's log lies in these topics",
    "model": "the run's checkpoint holds the weights that training goes on from",
    "run.id": "another id is another run",
    "run.seed": "the prompts that come next follow from the first seed",
    "broker.kind": "the run's log lies on its broker",
}
"""Section or path -> why it may not change."""
_OTHERWISE = "the steps that were made so far were made with the former value"


def refused_changes(former: Settings, wanted: Settings) -> list[str]:
    """A line for each change that a resumed run may not make: the setting, both values, and the reason."""
    before, after = dict(leaves(former)), dict(leaves(wanted))
    changed = [path for path in dict.fromkeys([*before, *after]) if before.get(path) != after.get(path)]
    return [
        f"{path} = {after.get(path)!s} (the run has {before.get(path)!s}): {_reason(path)}"
        for path in changed
        if not any(path == name or path.startswith(f"{name}.") for name in RESUMABLE)
    ]


def _reason(path: str) -> str:
    return next((why for name, why in _FIXED.items() if path == name or path.startswith(f"{name}.")), _OTHERWISE)
