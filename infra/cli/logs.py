"""The log of a run that may have ended: on the broker that has it, or on one that is started for as long as this."""

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
"""A local broker that runs answers in tenths; one that ended with its stack should not be waited for."""


@contextmanager
def open_log(place: RunPlace, settings: Settings, root: Path) -> Iterator[str]:
    """The address of a broker that has the run's topics. `settings`: the run's, with what the command line says.

    The local Kafka of this folder of runs is started where it is down. Raises CommandError where the log cannot be
    had, LocalStackError where Kafka does not start.
    """
    bootstrap = settings.broker.bootstrap_servers
    given = bootstrap != place.settings.broker.bootstrap_servers
    kind = BrokerKind.CLUSTER if given else place.settings.broker.kind
    for address in dict.fromkeys([bootstrap, *([] if kind is BrokerKind.CLUSTER else _newest(root, kind))]):
        if address and _has_log(settings, address, kind):
            yield address
            return
    if kind is not BrokerKind.KAFKA:
        raise CommandError(_gone(place, settings, kind), ExitCode.UNREACHABLE)
    with _kafka(place.settings.broker, root) as broker:
        if not _has_log(settings, broker.bootstrap, kind):
            raise CommandError(_gone(place, settings, kind), ExitCode.UNREACHABLE)
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


def _newest(root: Path, kind: BrokerKind) -> list[str]:
    """Where the broker of the newest run listens: the local Kafka serves all runs of the folder."""
    if kind is not BrokerKind.KAFKA or not (root / "latest" / "settings.json").is_file():
        return []
    return [find_run("latest", root).settings.broker.bootstrap_servers]


@contextmanager
def _kafka(broker: BrokerSettings, root: Path) -> Iterator["Broker"]:
    from infra.local.broker import open_broker

    local = open_broker(broker, root / "kafka")
    local.start()
    try:
        yield local
    finally:
        local.stop()


def _gone(place: RunPlace, settings: Settings, kind: BrokerKind) -> str:
    what = f"the log of run {place.run_id} is not there"
    if kind is BrokerKind.EMBEDDED:
        return (
            f"{what}: it was in the embedded broker, which keeps all in memory and ended with its stack. Do this while "
            "the stack is up (`rewardstream up`), or run on Apache Kafka, whose log stays: set KAFKA_HOME, or give "
            "--bootstrap-servers"
        )
    prefix = settings.topics.prefix
    if kind is BrokerKind.KAFKA:
        return f"{what}: the local Kafka has no topics of {prefix!r}; its folder was removed, or its retention passed"
    return (
        f"{what}: the broker at {settings.broker.bootstrap_servers} has no topics of {prefix!r}; name the run's own "
        "with --bootstrap-servers"
    )
