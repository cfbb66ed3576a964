"""Learners over one recorded log: the same losses bit for bit, also where one was killed and went on."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.learner_loop import LearnerLoop
from support.messages import scored, ticket

from infra.settings.tree import Settings
from streams.admin import create_topics, topic_specs
from streams.messages import VersionSpan
from trainer.learner import Learner
from trainer.step.ppo import PPO

LEARNER = {
    "advantage": "gae",
    "value": {"kind": "model", "pretrain_steps": 1},
    "kl": {"apply_to": "loss"},
    "objective": {"weight": "truncated"},
    "overlong": {"penalty": 0.5},
    "learning_rate": 1e-3,
    "checkpoint_every": 2,
}


def record(loop: LearnerLoop, groups: int) -> None:
    """Groups of three answers, one without spread, one whose scorer failed, one that never was complete."""
    for seq in range(groups):
        loop.send(ticket(seq, run_id=loop.run_id, samples=3))
        scores = {2: (1.0, 1.0, 1.0), 5: (None, 0.0, 1.0)}.get(seq, (1.0, 0.0, 0.1 * (seq % 7)))
        for index, score in enumerate(scores[: 2 if seq == 7 else 3]):
            tokens = [5 + seq, 6 + index, 7, *range(8, 8 + index)]
            answer = scored(
                seq,
                index,
                score,
                run_id=loop.run_id,
                group_size=3,
                tokens=tokens,
                prompt=range(3, 5 + seq % 3),
                logprobs=[-0.5 - 0.1 * index] * len(tokens),
                spans=[VersionSpan(0, seq // 3, len(tokens))],
            )
            loop.send(answer)


def again(loop: LearnerLoop, name: str) -> Settings:
    """Settings of a learner of its own over the recorded log."""
    tree = loop.settings.model_dump(mode="json")
    run = f"{loop.settings.run.id}-{name}"
    replay = {"run": loop.settings.run.id, "prefix": loop.settings.topics.prefix}
    tree["run"]["id"] = tree["topics"]["prefix"] = run
    tree["learner"] |= {**LEARNER, "replay": replay}
    settings = Settings.model_validate(tree)
    create_topics(settings.broker, loop.bootstrap, topic_specs(settings))
    return settings


def steps_of(settings: Settings) -> dict[int, dict[str, Any]]:
    """The last line of each version, less what a clock or a restart decides."""
    file = Path(settings.run.folder) / settings.run.id / "steps.jsonl"
    lines = [msgspec.json.decode(line) for line in file.read_bytes().splitlines()]
    for line in lines:
        del line["at"], line["seconds"], line["lineage"]
    return {line["version"]: line for line in lines}


def test_losses_are_the_same_bit_for_bit(loop: LearnerLoop, monkeypatch: pytest.MonkeyPatch):
    record(loop, groups=13)
    settings = {name: again(loop, name) for name in ("one", "two", "killed")}
    for name in ("one", "two"):
        Learner(settings[name], loop.bootstrap).run()
    expected = steps_of(settings["one"])
    assert sorted(expected) == [1, 2, 3, 4, 5]  # 10 groups that can be trained on, two a step
    assert [line["value_only"] for line in expected.values()] == [True, False, False, False, False]
    assert len({line["policy_loss"] for line in expected.values()}) == 5
    assert steps_of(settings["two"]) == expected

    with monkeypatch.context() as patch:
        step = PPO.step

        def killed(self, batch, version, seed):
            if version == 3:
                raise MemoryError
            return step(self, batch, version, seed)

        patch.setattr(PPO, "step", killed)
        with pytest.raises(MemoryError):
            Learner(settings["killed"], loop.bootstrap).run()
    assert sorted(steps_of(settings["killed"])) == [1, 2, 3]
    Learner(settings["killed"], loop.bootstrap).run()
    assert steps_of(settings["killed"]) == expected
