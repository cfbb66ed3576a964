"""A learner of several processes under torchrun, on a real broker: one history, whatever dies."""

import signal
from collections import Counter
from pathlib import Path

import psutil
import pytest
from support.learner_loop import LearnerLoop

from streams.messages import Outcome
from streams.topics import Topic
from trainer.weights.checkpoint import HISTORY_FILE
from trainer.weights.history import read_history

pytestmark = pytest.mark.slow

BROKEN = b"\xc1 not MessagePack"


@pytest.fixture
def team(loop: LearnerLoop) -> LearnerLoop:
    tree = loop.settings.model_dump()
    tree["learner"] |= {"processes": 2, "max_staleness": 100}
    loop.settings = type(loop.settings).model_validate(tree)
    return loop


def members(launcher: int) -> list[psutil.Process]:
    """The processes of the team, in the order of their ranks."""
    found = [child for child in psutil.Process(launcher).children() if "RANK" in child.environ()]
    return sorted(found, key=lambda child: int(child.environ()["RANK"]))


@pytest.mark.timeout(180)
@pytest.mark.parametrize("bootstrap", ["embedded"], indirect=True)
def test_a_team_closes_each_group_once_when_a_member_is_killed(team: LearnerLoop):
    team.send_bytes(Topic.SCORED, BROKEN, ("schema", b"ScoredTrajectory"))
    team.dispatch(*range(6), scores=(1.0, 0.0))  # over both partitions
    team.dispatch(6, scores=(1.0, 1.0))
    team.dispatch(7, scores=(None, 1.0))
    first = team.start("learner")
    team.closings_until(lambda c: len(c.closed) == 8)
    members(first.pid)[1].send_signal(signal.SIGKILL)
    assert first.wait(timeout=60) != 0
    team.dispatch(8, 9)
    second = team.start("learner")
    found = team.closings_until(lambda c: len(c.surviving()) == 10 and len(c.lineages) == 2)
    surviving = found.surviving()
    assert Counter(each.seq for each in surviving) == Counter(range(10))
    assert sorted(each.ordinal for each in surviving) == list(range(10))
    outcomes = {each.seq: each.outcome for each in surviving}
    assert (outcomes.pop(6), outcomes.pop(7)) == (Outcome.FILTERED, Outcome.FAILED)
    assert set(outcomes.values()) == {Outcome.TRAINED}
    assert team.versions()[-1].lineage == 1
    second.send_signal(signal.SIGTERM)  # torchrun hands it on; the leader saves, the others end when told
    second.wait(timeout=60)
    _goes_on_alone(team)


def _goes_on_alone(team: LearnerLoop) -> None:
    """The checkpoint of two processes is one that a single process resumes from."""
    folder: Path = team.run_folder / "checkpoints"
    saved = max(folder.glob("lineage001-*/v*"))
    version = read_history(saved / HISTORY_FILE).version
    assert version == team.versions()[-1].version
    team.settings = team.settings.model_copy(
        update={"learner": team.settings.learner.model_copy(update={"processes": 1})}
    )
    team.dispatch(10, 11, version=version)
    team.start("learner")
    found = team.closings_until(lambda c: len(c.lineages) == 3 and len(c.surviving()) == 12)
    assert {each.version for each in found.surviving() if each.seq in {10, 11}} == {version + 1}
