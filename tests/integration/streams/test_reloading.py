"""A scorer that is exchanged while its stage works: both versions score, nothing is lost and nothing scored twice."""

import os
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from support.stage_loop import CAPITAL, StageLoop, rollout
from support.tiny_judge import save_tiny_judge

from streams.codec import decode
from streams.messages import ScoredTrajectory
from streams.topics import Topic

PLUGIN = """
from streams.messages import Status
from workers.verifiers.base import Verdict

class Length:
    name = "length"
    version = "{version}"
    policy = "Anything of five characters."
    options = {{}}

    def verify(self, question, response):
        return Verdict(1.0, Status.CORRECT, "", self.name, self.version)
"""


def install(site: Path, version: str) -> None:
    """Installs it as a user's package would be: a module, and metadata with its entry point."""
    metadata = site / "length_verifier-1.dist-info"
    metadata.mkdir(parents=True, exist_ok=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: length-verifier\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text("[rewardstream.verifiers]\nlength = length_verifier:Length\n")
    (site / "length_verifier.py").write_text(PLUGIN.format(version=version))


def versions(loop: StageLoop, count: int) -> Counter[str]:
    """Verdicts so far, by scorer version; each rollout has one."""
    scored = [decode(record.value, ScoredTrajectory) for record in loop.read(Topic.SCORED, count)]
    assert len({one.rollout.rollout_id for one in scored}) == len(scored) == count
    assert all(one.score is not None for one in scored)
    return Counter(one.scorer_version for one in scored)


EMBEDDED = pytest.mark.parametrize("bootstrap", ["embedded"], indirect=True)
"""The exchange does not touch the broker."""


@EMBEDDED
def test_a_plugin_that_changes_is_taken_up_by_the_verifier_processes_in_turn(loop: StageLoop) -> None:
    site = loop.folder / "site"
    install(site, "1")
    with loop.serving("rtv", PYTHONPATH=os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])) as rtv:
        loop.send(*(rollout(number, verifier="length") for number in range(20)), topic=Topic.RTV_REQUESTS)
        assert versions(loop, 20) == {"1": 20}
        install(site, "2.0")
        rtv.send_signal(signal.SIGHUP)
        loop.await_log("rtv", "has reloaded its scorer")
        loop.send(*(rollout(number, verifier="length") for number in range(20, 40)), topic=Topic.RTV_REQUESTS)
        assert versions(loop, 40) == {"1": 20, "2.0": 20}

        install(site, "3.0\n")  # a line that ends within its string: no process starts with it
        rtv.send_signal(signal.SIGHUP)
        loop.await_log("rtv", "stage rtv keeps its scorer")
        loop.send(*(rollout(number, verifier="length") for number in range(40, 50)), topic=Topic.RTV_REQUESTS)
        assert versions(loop, 50) == {"1": 20, "2.0": 30}


@EMBEDDED
def test_a_judge_is_exchanged_from_its_settings_and_a_broken_one_leaves_the_old(
    make_loop: Callable[..., StageLoop], tmp_path: Path
) -> None:
    one, other = save_tiny_judge(tmp_path / "one"), save_tiny_judge(tmp_path / "other", ("more",))
    loop = make_loop(genrm={"model": str(one), "dtype": "float32", "canary_every": 0})

    def publish(numbers: range) -> None:
        loop.send(*(rollout(number, "Rome", **CAPITAL) for number in numbers), topic=Topic.GENRM_REQUESTS)

    with loop.serving("genrm") as process:
        publish(range(20))
        [old] = versions(loop, 20)
        loop.change_judge(model=str(other))
        process.send_signal(signal.SIGHUP)
        loop.await_log("genrm", "the judge is now")
        publish(range(20, 40))
        both = versions(loop, 40)
        assert both.pop(old) == 20
        assert list(both.values()) == [20]

        loop.change_judge(model=str(tmp_path / "nothing"))
        process.send_signal(signal.SIGHUP)
        loop.await_log("genrm", "stage genrm keeps its scorer")
        publish(range(40, 50))
        assert versions(loop, 50) == both + Counter({old: 20}) + Counter(dict.fromkeys(both, 10))
