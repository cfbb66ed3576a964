"""From a version's publication to its first token, and how long the learner stands still for it.

    .venv/bin/python tests/bench/bench_weights.py [--versions N] [--step-seconds S] [--slow]

A learner's publisher in a process of its own, with the real background executor, and a real rollout worker that
generates all the time; whole weights of SmolLM2-135M in bfloat16, the embedded broker. `weights.first_token_seconds`:
from the beginning of the publication to the end of the engine's first step on the version. It contains the gathering of
the weights, their writing, hashing at both ends, and the swap. `weights.learner_stall_seconds`: what a step waits for,
which is the gathering, and the end of the publication before.
Laminar (arXiv 2510.12633) has workers pull weights from relays at any time; here the relays are files.

With `--slow`, the worker stands still for three steps after each load: the learner must not notice.
"""

import argparse
import multiprocessing
import tempfile
import time
from contextlib import ExitStack
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median

from measures import measure, note

from infra.local.broker import open_broker
from infra.settings.tree import BrokerSettings, Settings
from streams.admin import create_topics, topic_specs
from streams.clients import confirm, make_producer, publish
from streams.messages import PromptTicket, Purpose, Question, Sampling, group_id
from streams.topics import Topic, topic_name

SAMPLES = 16
NEW_TOKENS = 64
PATIENCE_SECONDS = 240.0


def learn(settings: Settings, versions: int, step_seconds: float, reports: Connection) -> None:
    """Sends (version, began, stall) for each version; a step is a wait."""
    import torch

    from infra.settings.learner import LoraSettings
    from trainer.background import SerialExecutor
    from trainer.weights.policy_io import load_policy
    from trainer.weights.publish import publisher_of
    from workers.models.model_files import resolve_model

    torch.set_num_threads(1)
    template = resolve_model(settings.model.path, settings.run.prepared)
    policy = load_policy(template, LoraSettings(rank=0))
    publisher = publisher_of(settings, template)
    producer = make_producer(settings.broker, settings.broker.bootstrap_servers)
    topic = topic_name(settings.topics.prefix, Topic.POLICY_VERSIONS)
    background = SerialExecutor("publish")

    def announce(weights: object, version: int) -> None:
        announcement = publisher.write(weights, 0, version)
        confirm(producer, [publish(producer, topic, announcement, f"{settings.run.id}:0")], 30)

    for version in range(versions):
        began, clock = time.time(), time.monotonic()
        background.drain()  # no weight changes before the publication before is done
        waited = time.monotonic() - clock
        clock = time.monotonic()
        weights = publisher.gather_weights(policy)
        background.submit(partial(announce, weights, version))
        reports.send((version, began, waited + time.monotonic() - clock))
        time.sleep(step_seconds)
    background.drain()
    background.close()
    producer.close()


def follow(settings: Settings, versions: int, pause_seconds: float) -> dict[int, float]:
    """Generates until the last version is there; Unix seconds of the first token by version."""
    from workers.rollout.worker import open_worker

    firsts: dict[int, float] = {}
    producer = make_producer(settings.broker, settings.broker.bootstrap_servers)
    topic = topic_name(settings.topics.prefix, Topic.PROMPTS)
    seq = 0
    deadline = time.monotonic() + PATIENCE_SECONDS
    with open_worker(settings, settings.broker.bootstrap_servers) as worker:
        engine = worker._engine
        while versions - 1 not in firsts:
            if time.monotonic() > deadline:
                raise TimeoutError(f"versions {sorted(firsts)} of {versions} in {PATIENCE_SECONDS:g} s")
            if worker.groups < 2:
                ticket = _ticket(settings.run.id, seq)
                publish(producer, topic, ticket, ticket.group_id)
                seq += 1
            busy = engine.running > 0
            worker.turn()
            version = engine.weights.version
            if busy and version >= 0 and version not in firsts:
                firsts[version] = time.time()
                time.sleep(pause_seconds)
    producer.close()
    return firsts


def _ticket(run_id: str, seq: int) -> PromptTicket:
    return PromptTicket(
        run_id=run_id,
        group_id=group_id(run_id, seq),
        seq=seq,
        prompt_id=f"p{seq}",
        domain="mathematics",
        purpose=Purpose.TRAIN,
        samples=SAMPLES,
        messages=({"role": "user", "content": "Count from one to one hundred in words."},),
        question=Question(prompt="", verifier="math"),
        sampling=Sampling(temperature=1.0, max_new_tokens=NEW_TOKENS, seed=seq),
        deadline=2e11,
        dispatched_at=0.0,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--versions", type=int, default=8)
    parser.add_argument("--step-seconds", type=float, default=4.0)
    parser.add_argument("--slow", action="store_true")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rewardstream-weights-")))
        broker = open_broker(BrokerSettings(kind="embedded"), folder / "broker")
        broker.start()
        stack.callback(broker.stop)
        settings = Settings.model_validate(
            {
                "run": {"id": "bench", "folder": folder / "runs", "prepared": "runs/prepared"},
                "topics": {"prefix": "bench", "partitions": 2},
                "broker": {"kind": "cluster", "bootstrap_servers": broker.bootstrap},
                "rollout": {"engine": {"max_running": SAMPLES, "max_model_tokens": 256}},
            }
        )
        create_topics(settings.broker, broker.bootstrap, topic_specs(settings))
        reports, sender = multiprocessing.Pipe(duplex=False)
        learner = multiprocessing.get_context("spawn").Process(
            target=learn, args=(settings, options.versions, options.step_seconds, sender)
        )
        learner.start()
        stack.callback(learner.kill)
        firsts = follow(settings, options.versions, 3 * options.step_seconds if options.slow else 0.0)
        learner.join()
        found = [reports.recv() for _ in range(options.versions)]
    report(found, firsts, slow=options.slow)


def report(found: list[tuple[int, float, float]], firsts: dict[int, float], *, slow: bool) -> None:
    name = "weights.slow_worker" if slow else "weights"
    seconds = [firsts[version] - began for version, began, _ in found[1:] if version in firsts]
    stalls = [stall for *_, stall in found[1:]]
    note(f"{len(firsts)} of {len(found)} versions were loaded")
    about = {"versions": len(found), "loaded": len(firsts)}
    measure(f"{name}.first_token_seconds", median(seconds), "s", worst=max(seconds), **about)
    measure(f"{name}.learner_stall_seconds", median(stalls), "s", worst=max(stalls), **about)


if __name__ == "__main__":
    main()
