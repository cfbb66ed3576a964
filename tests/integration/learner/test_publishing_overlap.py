"""Publishing beside the next step: whatever fails, dies or is interrupted there, the order of a step holds."""

import _thread
import multiprocessing
import signal
import threading
from collections import Counter

import pytest
from support.killed_learner import run_until_killed
from support.learner_loop import LearnerLoop

from streams.messages import PolicyVersion
from streams.records import Record
from trainer.curriculum.lineages import Lineages
from trainer.fencing import saved_states
from trainer.learner import Learner
from trainer.step.ppo import PPO
from trainer.weights.publish import PublishedWeights, Publisher

pytestmark = pytest.mark.timeout(180)


def require_each_group_once(loop: LearnerLoop, groups: int) -> None:
    loop.start("learner")
    found = loop.closings_until(lambda c: len(c.surviving()) == groups and len(c.lineages) == 2)
    assert Counter(each.seq for each in found.surviving()) == Counter(range(groups))
    assert sorted(each.ordinal for each in found.surviving()) == list(range(groups))


def test_a_version_that_cannot_be_written_ends_the_learner_and_closes_nothing(
    loop: LearnerLoop, monkeypatch: pytest.MonkeyPatch
):
    write = Publisher.write

    def full(self: Publisher, weights: PublishedWeights, lineage: int, version: int) -> PolicyVersion:
        if version == 2:
            raise OSError("no room")
        return write(self, weights, lineage, version)

    loop.dispatch(*range(6))
    with monkeypatch.context() as patch:
        patch.setattr(Publisher, "write", full)
        with pytest.raises(OSError, match="no room"):
            Learner(loop.settings, loop.bootstrap).run()
    assert [each.version for each in loop.versions()] == [0, 1]
    assert {each.version for each in loop.closings().closed} == {1}
    saved = saved_states.newest_state(loop.run_folder / "checkpoints", Lineages())
    assert saved.checkpoint is None  # that of version 2 would come after its closings
    require_each_group_once(loop, 6)


def test_a_kill_between_snapshot_and_announcement_loses_nothing(loop: LearnerLoop):
    loop.dispatch(*range(8))
    process = multiprocessing.get_context("spawn").Process(
        target=run_until_killed, args=(loop.settings, loop.bootstrap)
    )
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert [each.version for each in loop.versions()] == [0, 1, 2]
    require_each_group_once(loop, 8)


def test_an_interrupt_while_a_version_is_published_finishes_it(loop: LearnerLoop, monkeypatch: pytest.MonkeyPatch):
    learner = Learner(loop.settings, loop.bootstrap)
    poll, write = learner._reader.poll, Publisher.write
    reading = threading.Event()

    def noted_poll(timeout: float) -> list[Record]:
        if learner._position.version == 1:
            reading.set()
        return poll(timeout)

    def interrupted(self: Publisher, weights: PublishedWeights, lineage: int, version: int) -> PolicyVersion:
        if version == 1:
            assert reading.wait(60)
            _thread.interrupt_main()
        return write(self, weights, lineage, version)

    monkeypatch.setattr(learner._reader, "poll", noted_poll)
    monkeypatch.setattr(Publisher, "write", interrupted)
    loop.dispatch(0, 1)
    with pytest.raises(KeyboardInterrupt):
        learner.run()
    folder = loop.run_folder
    assert [each.version for each in loop.versions()] == [0, 1]
    assert sorted(each.seq for each in loop.closings().closed) == [0, 1]
    assert [path.parent.name for path in folder.glob("checkpoints/lineage000-*/*/checkpoint.json")] == ["v000001"]
    assert not list(folder.rglob(".unfinished-*"))


def test_the_next_step_begins_before_a_version_is_published_and_changes_nothing_until_it_is(
    loop: LearnerLoop, monkeypatch: pytest.MonkeyPatch
):
    write, step = Publisher.write, PPO.step
    begun = threading.Event()
    happened: list[str] = []

    def waiting(self: Publisher, weights: PublishedWeights, lineage: int, version: int) -> PolicyVersion:
        if version == 1:
            assert begun.wait(60)
        announcement = write(self, weights, lineage, version)
        happened.append(f"written {version}")
        return announcement

    def noted(self: PPO, batch, version: int, seed: int):
        happened.append(f"step to {version + 1}")
        if version == 1:
            before_update = self.before_update

            def noted_update() -> None:
                begun.set()
                before_update()
                happened.append("update")

            monkeypatch.setattr(self, "before_update", noted_update)
        if version == 2:
            raise KeyboardInterrupt
        return step(self, batch, version, seed)

    monkeypatch.setattr(Publisher, "write", waiting)
    monkeypatch.setattr(PPO, "step", noted)
    loop.dispatch(*range(6))
    with pytest.raises(KeyboardInterrupt):
        Learner(loop.settings, loop.bootstrap).run()
    assert happened.index("step to 2") < happened.index("written 1") < happened.index("update")
