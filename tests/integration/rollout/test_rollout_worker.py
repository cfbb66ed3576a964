"""The rollout worker between a real broker's topics, on a tiny real model."""

import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import fsspec
import msgspec
import pytest
import torch
from kafka import KafkaConsumer, TopicPartition
from support.messages import announced, closed
from support.metrics import MetricChange
from support.rollout_loop import RolloutLoop, rollouts_of
from support.waiting import wait_until

from infra.settings.load import with_changes
from streams.arrays import unpack_logprobs, unpack_tokens
from streams.codec import decode, header
from streams.dead_letters import parse
from streams.messages import Outcome, PolicyVersion, Rollout, ScoredTrajectory, Status, VersionSpan, rollout_id
from streams.topics import Topic
from trainer.curriculum.fleet import Fleet
from trainer.step.language_models import load_causal_lm
from trainer.weights.publish import Publisher
from workers.models.model_files import WEIGHTS_FILE
from workers.models.remote_files import RemoteFolder
from workers.rollout.intake import STAGE
from workers.rollout.worker import RolloutWorker, open_worker


def ids(loop: RolloutLoop, seqs: range, samples: int) -> set[str]:
    return {rollout_id(f"{loop.run_id}:{seq}", index) for seq in seqs for index in range(samples)}


def committed(loop: RolloutLoop) -> dict[int, int]:
    """The offsets at which the next member of the group would start, by partition of the prompts."""
    consumer = KafkaConsumer(
        bootstrap_servers=loop.bootstrap, group_id=f"{loop.run_id}.{STAGE}", enable_auto_commit=False
    )
    topic = loop.topic(Topic.PROMPTS)
    offsets = {number: consumer.committed(TopicPartition(topic, number)) or 0 for number in range(2)}
    consumer.close()
    return offsets


def written(loop: RolloutLoop) -> dict[int, int]:
    with loop.reader(Topic.PROMPTS) as reader:
        list(reader.read_to_end())
        return {source.partition: end for source, end in reader.end_offsets().items()}


def test_every_ticket_becomes_its_rollouts_and_is_then_committed(loop: RolloutLoop, folders: list[Path]) -> None:
    tickets = [loop.ticket(seq, samples=3) for seq in range(8)]
    loop.send(*tickets, tickets[0])
    with loop.reader(Topic.ROLLOUTS) as reader, open_worker(loop.settings, loop.bootstrap) as worker:
        for _ in range(20):
            worker.turn()
        assert reader.poll(timeout=0.2) == []  # no version was announced yet
        loop.announce(folders[1], 0)
        records = loop.read_until(reader, lambda got: len(got) >= 24, "24 rollouts", worker.turn)
        worker.drain()
        found = rollouts_of(records)
        assert len(records) == 24
        assert set(found) == ids(loop, range(8), 3)
        assert committed(loop) == written(loop)
    for record in records:
        rollout = found[next(name for name in found if name.encode().startswith(record.key or b"?"))]
        assert header(record.headers, "route") == ("rtv" if rollout.question.verifier else "genrm")
    for rollout in found.values():
        _check(rollout)
        assert rollout.spans == (VersionSpan(0, 0, len(unpack_tokens(rollout.segments[1].token_ids))),)


def _check(rollout: Rollout) -> None:
    prompt, policy = rollout.segments
    tokens, logprobs = unpack_tokens(policy.token_ids), unpack_logprobs(policy.logprobs)
    assert len(unpack_tokens(prompt.token_ids)) > 0
    assert len(tokens) == len(logprobs) == sum(span.tokens for span in rollout.spans)
    assert (logprobs <= 0).all()
    assert (rollout.finish_reason == "stop") == (tokens[-1] == 2)
    assert rollout.timings.dispatched <= rollout.timings.started <= rollout.timings.finished


def test_a_new_version_takes_over_running_groups(loop: RolloutLoop, folders: list[Path]) -> None:
    loop.announce(folders[0], 4)
    loop.announce(folders[1], 5)
    with loop.reader(Topic.ROLLOUTS) as reader, open_worker(loop.settings, loop.bootstrap) as worker:
        loop.send(*(loop.ticket(seq, samples=4, new=120) for seq in range(4)))
        loop.read_until(reader, lambda _: worker.generating > 0, "a group in the engine", worker.turn)
        for _ in range(20):
            worker.turn()
        loop.announce(folders[2], 3, lineage=1)  # a resumed learner announces a lower version
        records = loop.read_until(reader, lambda got: len(rollouts_of(got)) == 16, "16 rollouts", worker.turn)
    crossing = 0
    for rollout in rollouts_of(records).values():
        _check(rollout)
        held = [(span.lineage, span.version) for span in rollout.spans]
        assert held in ([(0, 5)], [(0, 5), (1, 3)], [(1, 3)])  # version 4 was never the newest
        crossing += len(held) == 2
    assert crossing > 0


def test_tickets_that_cannot_be_generated_are_accounted_for(loop: RolloutLoop, folders: list[Path]) -> None:
    loop.announce(folders[0], 1)
    loop.send_bytes(Topic.PROMPTS, b"\xc1 not a ticket")
    long = loop.ticket(1, messages=({"role": "user", "content": "x" * 300},))
    loop.send(long, loop.ticket(2, deadline=1.0), loop.ticket(3, run_id="another"), loop.ticket(4))
    with loop.reader(Topic.ROLLOUTS) as reader, open_worker(loop.settings, loop.bootstrap) as worker:
        records = loop.read_until(reader, lambda got: len(rollouts_of(got)) >= 2, "2 rollouts", worker.turn)
        with loop.reader(Topic.DEAD_LETTERS) as letters:
            dead = loop.read_until(letters, lambda got: len(got) >= 2, "2 dead letters", worker.turn)
        _turn_until(worker, lambda: not worker.groups)
        worker.drain()
        assert committed(loop) == written(loop)
    assert set(rollouts_of(records)) == ids(loop, range(4, 5), 2)
    by_class = {parse(record).error_class: parse(record) for record in dead}
    assert by_class["DecodeError"].record.value == b"\xc1 not a ticket"
    assert "max_model_tokens" in by_class["ValueError"].reason


def _turn_until(worker: RolloutWorker, reached: Callable[[], bool]) -> None:
    def turned() -> bool:
        worker.turn()
        return reached()

    wait_until(turned, "turns of the worker to get there", interval=0)


def test_weights_that_differ_from_their_announcement_are_not_loaded(
    loop: RolloutLoop, folders: list[Path], caplog: pytest.LogCaptureFixture
) -> None:
    loop.announce(folders[0], 1)
    loop.announce(folders[1], 2, sha256="0" * 64)
    with loop.reader(Topic.ROLLOUTS) as reader, open_worker(loop.settings, loop.bootstrap) as worker:
        loop.send(loop.ticket(0), loop.ticket(1, min_version=3))
        _turn_until(worker, lambda: "sha256" in caplog.text)
        loop.announce(folders[0], 2)
        first = loop.read_until(reader, lambda got: len(got) >= 2, "2 rollouts", worker.turn)
        assert set(rollouts_of(first)) == ids(loop, range(1), 2)
        assert {span.version for rollout in rollouts_of(first).values() for span in rollout.spans} == {2}
        loop.announce(folders[2], 3)
        later = loop.read_until(reader, lambda got: len(got) >= 2, "2 rollouts", worker.turn)
        assert set(rollouts_of(later)) == ids(loop, range(1, 2), 2)
        assert {span.version for rollout in rollouts_of(later).values() for span in rollout.spans} == {3}


def test_versions_at_a_url_are_fetched_checked_and_the_held_one_stays_where_they_are_not_whole(
    loop: RolloutLoop,
    folders: list[Path],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    metric_change: MetricChange,
) -> None:
    url = f"memory://{loop.run_id}"
    publisher = Publisher(tmp_path / "versions", folders[0], loop.run_id, torch.float32, 2, RemoteFolder(url))
    policy = load_causal_lm(folders[1])
    settings = with_changes(loop.settings, weights={"places": [url]})
    with loop.reader(Topic.ROLLOUTS) as reader, open_worker(settings, loop.bootstrap) as worker:
        loop.send(publisher.publish(policy, 0, 0))
        torn = publisher.publish(policy, 0, 1)
        files, place = fsspec.core.url_to_fs(f"{torn.uri}/{WEIGHTS_FILE}")
        files.pipe_file(place, files.cat_file(place)[:-1])
        loop.send(loop.ticket(0), loop.ticket(1, min_version=2))
        first = loop.read_until(reader, lambda got: len(got) >= 2, "2 rollouts", worker.turn)
        loop.send(torn)
        _turn_until(worker, lambda: "sha256" in caplog.text)
        assert metric_change("weights_refused_total", reason="mismatch") == 1
        assert worker._engine.weights.version == 0
        loop.send(publisher.publish(policy, 0, 2))
        second = loop.read_until(reader, lambda got: len(got) >= 2, "2 rollouts", worker.turn)
    for records, version in ((first, 0), (second, 2)):
        assert {span.version for rollout in rollouts_of(records).values() for span in rollout.spans} == {version}


@pytest.mark.slow
def test_a_killed_worker_loses_nothing_and_a_stopped_one_ends_in_order(loop: RolloutLoop, folders: list[Path]) -> None:
    loop.announce(folders[0], 0)
    loop.send(*(loop.ticket(seq, samples=4, new=200) for seq in range(16)))
    with loop.reader(Topic.ROLLOUTS) as reader:
        child = loop.start("rollout")
        records = loop.read_until(reader, lambda got: len(got) > 0, "a rollout")
        child.kill()
        assert child.wait(timeout=60) == -signal.SIGKILL
        assert len(rollouts_of(records)) < 64  # it was in the middle
        child = loop.start("rollout")
        records += loop.read_until(reader, lambda got: len(rollouts_of(records + got)) == 64, "64 rollouts")
        found = rollouts_of(records)
        assert set(found) == ids(loop, range(16), 4)
        for rollout in found.values():
            _check(rollout)
        child.send_signal(signal.SIGTERM)
        assert child.wait(timeout=60) == 0
        assert committed(loop) == written(loop)


def test_groups_that_name_their_weights_are_of_them_while_the_learner_goes_on(
    loop: RolloutLoop, folders: list[Path]
) -> None:
    loop.announce(folders[0], 2)
    loop.announce(folders[1], 3)
    [named, *_] = [each for each in loop.messages(Topic.POLICY_VERSIONS) if isinstance(each, PolicyVersion)]
    assert named.version == 2
    with loop.reader(Topic.ROLLOUTS) as reader, open_worker(loop.settings, loop.bootstrap) as worker:
        loop.send(*(loop.ticket(seq, samples=4, new=60) for seq in range(3)))
        loop.read_until(reader, lambda _: worker.generating > 0, "a group in the engine", worker.turn)
        loop.send(*(loop.ticket(seq, samples=3, new=60, weights=named, min_version=2) for seq in range(3, 8)))
        _turn_until(worker, lambda: worker._shifts.pinned is not None)
        loop.announce(folders[2], 4)
        loop.send(*(loop.ticket(seq, samples=2, min_version=4) for seq in range(8, 10)))
        _turn_until(worker, lambda: not worker.groups)
    held = {seq: set() for seq in range(10)}
    for rollout in rollouts_of(loop.records(Topic.ROLLOUTS)).values():
        held[rollout.seq] |= {span.version for span in rollout.spans}
    assert [held[seq] for seq in range(3, 8)] == [{2}] * 5
    assert [held[seq] for seq in range(8, 10)] == [{4}] * 2
    assert all(versions <= {3, 4} for versions in (held[seq] for seq in range(3)))


def test_groups_whose_weights_are_gone_fail_and_others_go_on(loop: RolloutLoop, folders: list[Path]) -> None:
    loop.announce(folders[0], 3)
    gone = announced(2, run_id=loop.run_id, uri=str(loop.folder / "gone"))
    loop.send(loop.ticket(0, samples=3, weights=gone), loop.ticket(1, samples=2))
    with loop.reader(Topic.SCORED) as reader, open_worker(loop.settings, loop.bootstrap) as worker:
        [record] = loop.read_until(reader, bool, "a verdict", worker.turn)
        _turn_until(worker, lambda: not worker.groups)
    verdict = decode(record.value, ScoredTrajectory)
    assert (verdict.rollout.seq, verdict.status) == (0, Status.INFRA_ERROR)
    assert "version 2 of lineage 0" in verdict.why
    assert set(rollouts_of(loop.records(Topic.ROLLOUTS))) == ids(loop, range(1, 2), 2)


def test_a_group_that_the_learner_closed_or_that_expired_is_not_generated_to_its_end(
    loop: RolloutLoop, folders: list[Path], metric_change: MetricChange
) -> None:
    loop.announce(folders[0], 1)
    with open_worker(loop.settings, loop.bootstrap) as worker:
        loop.send(loop.ticket(0, samples=2, new=240), loop.ticket(1, samples=2, new=240))
        _turn_until(worker, lambda: worker.generating == 4)
        worker._engine.step = list  # an engine that is slower than the learner: no token more
        loop.send(closed(0, 0, Outcome.STALE, run_id=loop.run_id))
        running = worker._book.group(f"{loop.run_id}:1")
        running.ticket = msgspec.structs.replace(running.ticket, deadline=time.time())
        _turn_until(worker, lambda: worker.generating == 0)
        loop.send(loop.ticket(0, samples=2))
        _turn_until(worker, lambda: metric_change("tickets_skipped_total", reason="closed") == 1)
        worker.drain()
        assert committed(loop) == written(loop)
    assert metric_change("aborted_samples_total", reason="closed") == 2
    assert metric_change("aborted_samples_total", reason="expired") == 2


def test_a_second_worker_takes_half_of_the_partitions_and_what_the_first_had_of_them(
    loop: RolloutLoop, folders: list[Path], metric_change: MetricChange
) -> None:
    loop.announce(folders[0], 1)
    with ExitStack() as stack:
        first = stack.enter_context(open_worker(loop.settings, loop.bootstrap))
        loop.send(*(loop.ticket(seq, samples=2, new=20) for seq in range(8)))
        _turn_until(first, lambda: first.groups == 8 and first.generating > 0)
        step, first._engine.step = first._engine.step, list
        second = stack.enter_context(open_worker(loop.settings, loop.bootstrap))

        def both_have_groups() -> bool:
            first.turn()
            second.turn()
            return second.groups > 0 and first.groups + second.groups <= 8

        wait_until(both_have_groups, "the second worker to have groups", interval=0)
        assert 0 < first.groups < 8
        assert metric_change("aborted_samples_total", reason="lost") > 0
        assert Fleet(loop.settings, loop.bootstrap).engines() == 2
        first._engine.step = step
        reader = stack.enter_context(loop.reader(Topic.ROLLOUTS))

        def turns() -> None:
            first.turn()
            second.turn()

        loop.read_until(reader, lambda got: set(rollouts_of(got)) == ids(loop, range(8), 2), "all rollouts", turns)
