"""The neighbours of the rollout worker: who writes tickets and versions, and who reads rollouts."""

import time
from pathlib import Path
from typing import Any

from streams.codec import decode
from streams.messages import PromptTicket, Question, Rollout, Sampling
from streams.records import Record
from support.broker_run import RunOnBroker
from support.messages import announced, ticket
from workers.models.model_files import WEIGHTS_FILE, file_sha256


class RolloutLoop(RunOnBroker):
    def ticket(self, seq: int, *, samples: int = 2, new: int = 12, **changes: Any) -> PromptTicket:
        """One in two is for a verifier, the others are for the judge."""
        fields: dict[str, Any] = {
            "run_id": self.run_id,
            "domain": "letters",
            "samples": samples,
            "messages": ({"role": "user", "content": f"go on {seq}"},),
            "question": Question(prompt=f"go on {seq}", verifier="exact" if seq % 2 else None),
            "sampling": Sampling(temperature=1.0, max_new_tokens=new, seed=seq),
            "deadline": time.time() + 600,
            "dispatched_at": time.time(),
        }
        return ticket(seq, **fields | changes)

    def announce(self, folder: Path, version: int, *, lineage: int = 0, sha256: str | None = None) -> None:
        sha256 = sha256 or file_sha256(folder / WEIGHTS_FILE)
        self.send(announced(version, lineage=lineage, run_id=self.run_id, uri=str(folder), sha256=sha256))


def rollouts_of(records: list[Record]) -> dict[str, Rollout]:
    """The rollouts by id; the first of several counts."""
    found: dict[str, Rollout] = {}
    for record in records:
        rollout = decode(record.value, Rollout)
        found.setdefault(rollout.rollout_id, rollout)
    return found
