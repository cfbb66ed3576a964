"""Our ends of a benchmark of the transport, each in a process of its own that does one pass a turn.

    python transport_ours.py produce|read SETTINGS_FILE TOKENS GROUPS

`produce` builds, encodes and publishes as the rollout worker does; `read` reads and decodes as the learner does, from
the topic of the verifiers' requests, until every group is whole.
"""

import resource
import sys
import time
from pathlib import Path

from transport_rollouts import GROUP, Rollouts
from turns import Turns

from infra.settings.tree import Settings
from streams.clients import LogReader, confirm, make_producer, publish
from streams.route_headers import route_headers
from streams.topics import Topic, topic_name
from streams.validate import decode_rollout

_CONFIRM_SECONDS = 120.0
_PATIENCE_SECONDS = 120.0
"""A turn that takes longer has lost its router."""


def produce(settings: Settings, tokens: int, groups: int) -> None:
    producer = make_producer(settings.broker, settings.broker.bootstrap_servers)
    topic = topic_name(settings.topics.prefix, Topic.ROLLOUTS)
    rollouts = Rollouts(tokens, groups)
    turns = Turns()
    while turns.wait():
        cpu = cpu_seconds()
        sent = [
            publish(producer, topic, rollout, rollout.group_id, **route_headers(rollout.question))
            for rollout in rollouts.build()
        ]
        confirm(producer, sent, _CONFIRM_SECONDS)
        turns.reply(at=time.monotonic(), cpu=cpu_seconds() - cpu)


def read(settings: Settings, groups: int) -> None:
    topic = topic_name(settings.topics.prefix, Topic.RTV_REQUESTS)
    with LogReader(settings.broker, settings.broker.bootstrap_servers, [topic]) as reader:
        turns = Turns()
        while turns.wait():
            cpu, whole = cpu_seconds(), 0
            members: dict[int, set[int]] = {}
            started = time.monotonic()
            while whole < groups:
                if time.monotonic() - started > _PATIENCE_SECONDS:
                    raise TimeoutError(f"{whole} groups after {_PATIENCE_SECONDS:g} s: see the router's log")
                for record in reader.poll(0.1):
                    rollout = decode_rollout(record)
                    group = members.setdefault(rollout.seq, set())
                    group.add(rollout.index)
                    whole += len(group) == GROUP
            turns.reply(at=time.monotonic(), cpu=cpu_seconds() - cpu)


def cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    role, file, tokens, groups = sys.argv[1:]
    settings = Settings.model_validate_json(Path(file).read_bytes())
    if role == "produce":
        produce(settings, int(tokens), int(groups))
    else:
        read(settings, int(groups))


if __name__ == "__main__":
    main()
