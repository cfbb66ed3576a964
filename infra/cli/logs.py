"""Access to the log of a run that may have ended: on the broker that has it, or on one that is started for the time
of the command.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from infra.cli.errors import CommandError, ExitCode
from infra.cli.runs import RunPlace, find_run
from infra.settings.tree import BrokerKind, BrokerSettings, Settings

if TYPE_CHECKING:
    from infra.local.broker import Broker

_LOCAL_SECONDS = 2.0
"""A running local broker answers in tenths of a second; one that ended with its stack should not be waited for."""


@contextmanager
def open_log(place: RunPlace, settings: Settings, root: Path) -> Iterator[str]:
    """Yields the address of a broker that has the run's topics. `settings` are the run's, changed by the options of the
    command line.

    If the local Kafka of this folder of runs is down, it is started. Raises CommandError if the log is not available,
    LocalStackError if Kafka does not start.
    """
    bootstrap = settings.broker.bootstrap_servers
    given = bootstrap != place.settings.broker.bootstrap_servers
    kind = BrokerKind.CLUSTER if given else place.settings.broker.kind
    for address in dict.fromkeys([bootstrap, *([] if kind is BrokerKind.CLUSTER else _newest_address(root, kind))]):
        if address and _has_log(settings, address, kind):
            yield address
            return
    if kind is not BrokerKind.KAFKA:
        raise CommandError(_explain_missing(place, settings, kind), ExitCode.UNREACHABLE)
    with _start_kafka(place.settings.broker, root) as broker:
        if not _has_log(settings, broker.bootstrap, kind):
            raise CommandError(_explain_missing(place, settings, kind), ExitCode.UNREACHABLE)
        yield broker.bootstrap


def _has_log(settings: Settings, bootstrap: str, kind: BrokerKind) -> bool:
    from streams.admin import list_topics
    from streams.clients import BrokerUnavailableError
    from streams.topics import Topic, topic_name

    broker = settings.broker
    if kind is not BrokerKind.CLUSTER:
        broker = broker.model_copy(update={"connect_timeout_seconds": _LOCAL_SECONDS})
    try:
        found = list_topics(broker, bootstrap, settings.topics.prefix)
    except BrokerUnavailableError:
        if kind is BrokerKind.CLUSTER:
            raise
        return False
    return topic_name(settings.topics.prefix, Topic.ROLLOUTS) in found


def _newest_address(root: Path, kind: BrokerKind) -> list[str]:
    """Address of the newest run's broker, since the local Kafka serves all runs of the folder; empty if none."""
    if kind is not BrokerKind.KAFKA or not (root / "latest" / "settings.json").is_file():
        return []
    return [find_run("latest", root).settings.broker.bootstrap_servers]


@contextmanager
def _start_kafka(broker: BrokerSettings, root: Path) -> Iterator["Broker"]:
    from infra.local.broker import open_broker

    local = open_broker(broker, root / "kafka")
    local.start()
    try:
        yield local
    finally:
        local.stop()


def _explain_missing(place: RunPlace, settings: Settings, kind: BrokerKind) -> str:
    what = f"the log of run {place.run_id} is gone"
    if kind is BrokerKind.EMBEDDED:
        return (
            f"{what}: the embedded broker kept it in memory and ended with its stack. Run this command while the stack "
            "is up (`rewardstream up`), or run on Apache Kafka, which keeps its log: set KAFKA_HOME, or give "
            "--bootstrap-servers"
        )
    prefix = settings.topics.prefix
    if kind is BrokerKind.KAFKA:
        return f"{what}: the local Kafka has no topics of {prefix!r}; its folder was removed, or retention deleted them"
    return (
        f"{what}: the broker at {settings.broker.bootstrap_servers} has no topics of {prefix!r}; name the run's own "
        "broker with --bootstrap-servers"
    )
