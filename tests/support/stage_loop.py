"""The stages between rollouts and scores as processes, and what the loop around them writes and reads."""

from typing import Any

from streams.clients import make_admin
from streams.messages import Purpose, Question, Rollout
from support import messages
from support.broker_run import RunOnBroker
from support.waiting import wait_until

RIGHT, WRONG = "The answer is 5", "The answer is 6"
CAPITAL = {"prompt": "capital France", "verifier": None, "ground_truth": "Paris"}
"""A question for the judge."""


class StageLoop(RunOnBroker):
    def committed(self, stage: str) -> int:
        """How many records of its source the stage's group is done with."""
        group = f"{self.settings.topics.prefix}.{stage}"
        admin = make_admin(self.settings.broker, self.bootstrap)
        offsets = admin.list_group_offsets(group)
        admin.close()
        return sum(offset.offset for offset in offsets.get(group, {}).values())

    def await_committed(self, stage: str, count: int) -> None:
        """Exactly so many, or the wait fails."""
        wait_until(lambda: self.committed(stage) == count, f"{count} commits of {stage}", details=self.logs)

    def await_log(self, stage: str, text: str) -> None:
        wait_until(lambda: text in self.log(stage), f"{text!r} in the log of {stage}", details=self.logs)

    def change_judge(self, **genrm: object) -> None:
        """In the file of settings that the running stages were started with."""
        tree = self.settings.model_dump(mode="json")
        self.settings = type(self.settings).model_validate(tree | {"genrm": tree["genrm"] | genrm})
        self.write_settings()


def rollout(number: int, text: str = RIGHT, purpose: Purpose = Purpose.TRAIN, **question: Any) -> Rollout:
    """Makes a rollout in a group of its own; `question` is what differs from a sum that math verifies."""
    asked = Question(**{"prompt": "What is 2 + 3?", "verifier": "math", "ground_truth": "5"} | question)
    return messages.rollout(
        number, 0, run_id="r1", prompt_id="p", purpose=purpose, group_size=1, text=text, question=asked
    )
