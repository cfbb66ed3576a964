"""The learner as a process, on a real broker: every group closes once, whatever dies."""

import signal
from collections import Counter

import pytest
from support.learner_loop import LearnerLoop

from streams.dead_letters import list_dead_letters
from streams.messages import Outcome
from streams.records import Record
from streams.topics import Topic
from trainer.groups.batching import BatchAssembler
from trainer.groups.groups import OpenGroup
from trainer.learner import Learner
from trainer.weights.publish import PublishedWeights
from workers.models.model_files import WEIGHTS_FILE, file_sha256

BROKEN = b"\xc1 not MessagePack"


def test_groups_end_each_in_its_way_and_versions_are_announced(loop: LearnerLoop):
    loop.dispatch(0, 1, scores=(1.0, 0.0))
    loop.dispatch(2, scores=(1.0, 1.0))
    loop.dispatch(3, scores=(None, 1.0))
    loop.start("learner")
    found = loop.closings_until(lambda c: len(c.closed) == 4)
    outcomes = {each.seq: each.outcome for each in found.closed}
    assert outcomes == {0: Outcome.TRAINED, 1: Outcome.TRAINED, 2: Outcome.FILTERED, 3: Outcome.FAILED}
    assert sorted(each.ordinal for each in found.closed) == [0, 1, 2, 3]
    newest = loop.versions()[-1]
    assert (newest.lineage, newest.version) == (0, 1)
    assert file_sha256(loop.run_folder / "versions" / "lineage000-v000001" / WEIGHTS_FILE) == (newest.sha256)


def test_a_short_batch_is_trained_on_when_nothing_is_in_flight(loop: LearnerLoop):
    loop.dispatch(0)
    loop.start("learner")
    assert loop.closings_until(lambda c: len(c.closed) == 1).closed[0].outcome is Outcome.TRAINED


def test_old_groups_are_stale(loop: LearnerLoop):
    loop.dispatch(*range(6))
    loop.start("learner")
    loop.closings_until(lambda c: len(c.closed) == 6)
    loop.dispatch(6, version=0)
    closed = loop.closings_until(lambda c: len(c.closed) == 7).closed  # in no order over partitions
    assert next(closing.outcome for closing in closed if closing.seq == 6) is Outcome.STALE


def test_what_does_not_decode_goes_to_the_dead_letters_and_the_rest_goes_on(loop: LearnerLoop):
    loop.send_bytes(Topic.SCORED, BROKEN, ("schema", b"ScoredTrajectory"))
    loop.dispatch(0, 1)
    loop.start("learner")
    loop.closings_until(lambda c: len(c.closed) == 2)
    loop.read(Topic.DEAD_LETTERS, 1)  # it may be in the partition that is read later
    with loop.reader(Topic.DEAD_LETTERS) as reader:
        letters = list_dead_letters(reader)
    assert [(letter.stage, letter.record.value) for letter in letters] == [("learner", BROKEN)]


@pytest.mark.slow
@pytest.mark.parametrize("closed_before_the_kill", [1, 3, 5, 8])
def test_a_killed_learner_counts_each_group_once(loop: LearnerLoop, closed_before_the_kill: int):
    loop.dispatch(*range(7))
    loop.dispatch(7, scores=(0.5, 0.5))
    first = loop.start("learner")
    loop.closings_until(lambda c: len(c.closed) >= closed_before_the_kill)
    first.send_signal(signal.SIGKILL)
    first.wait()
    loop.dispatch(8, 9)
    loop.start("learner")
    found = loop.closings_until(lambda c: len(c.surviving()) == 10 and len(c.lineages) == 2)
    assert Counter(each.seq for each in found.surviving()) == Counter(range(10))
    assert sorted(each.ordinal for each in found.surviving()) == list(range(10))
    trained = [each for each in found.surviving() if each.outcome is Outcome.TRAINED]
    assert Counter(each.version for each in trained).most_common()[0][1] <= 2  # groups_per_step
    assert [each.lineage for each in found.lineages] == [0, 1]
    assert loop.versions()[-1].lineage == 1


def test_an_interrupted_learner_leaves_a_checkpoint_of_its_last_step(loop: LearnerLoop):
    loop.dispatch(0, 1)
    child = loop.start("learner")
    loop.closings_until(lambda c: len(c.closed) == 2)
    child.send_signal(signal.SIGTERM)
    assert child.wait(timeout=30) == 0
    found = loop.run_folder.glob("checkpoints/lineage000-*/*/checkpoint.json")
    assert [path.parent.name for path in found] == ["v000001"]


@pytest.mark.parametrize("where", ["a record was read and is not noted", "a closing was sent and is not noted"])
def test_an_interrupt_between_doing_and_noting_loses_and_doubles_no_group(
    loop: LearnerLoop, monkeypatch: pytest.MonkeyPatch, where: str
):
    learner = Learner(loop.settings, loop.bootstrap)
    poll, close, publish = learner._reader.poll, learner._assembler.close, learner._publish

    def interrupted_poll(timeout: float) -> list[Record]:
        records = poll(timeout)
        if records and where.startswith("a record") and learner._position.version == 1:
            raise KeyboardInterrupt
        return records

    def publish_and_dispatch(weights: PublishedWeights, lineage: int, version: int) -> None:
        publish(weights, lineage, version)
        if version == 1:
            loop.dispatch(2, scores=(1.0, 1.0))

    def interrupted_close(group: OpenGroup) -> None:
        if group.seq == 2:
            raise KeyboardInterrupt
        close(group)

    monkeypatch.setattr(learner._reader, "poll", interrupted_poll)
    monkeypatch.setattr(learner, "_publish", publish_and_dispatch)
    monkeypatch.setattr(BatchAssembler, "close", lambda _assembler, group: interrupted_close(group))
    loop.dispatch(0, 1)
    with pytest.raises(KeyboardInterrupt):
        learner.run()
    loop.start("learner")
    found = loop.closings_until(lambda c: any((each.lineage, each.seq) == (1, 2) for each in c.closed))
    surviving = sorted(found.surviving(), key=lambda each: each.ordinal)
    assert [each.ordinal for each in surviving] == [0, 1, 2]
    assert [each.seq for each in surviving] in ([0, 1, 2], [1, 0, 2])  # by the order of the partitions
    assert found.lineages[-1].version == 1  # the step was kept
