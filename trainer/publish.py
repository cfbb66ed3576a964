"""Weight publication: a Hugging Face folder on disk first, its announcement after; and the newest of a run.

Invariant: an announced folder is whole and its checksum true; folders are kept until `keep` newer ones exist.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from infra.settings.tree import Settings
from streams.clients import LogReader
from streams.codec import decode_by_schema
from streams.messages import PolicyVersion
from streams.topics import Topic, topic_name
from trainer.folders import atomic_folder, copy_description, keep_newest
from workers.model_files import WEIGHTS_FILE, file_sha256


@dataclass(frozen=True, slots=True)
class Publisher:
    folder: Path
    """Where the versions lie, one folder each."""
    template: Path
    """The policy's own folder: configuration and tokenizer are copied from it."""
    run_id: str
    dtype: torch.dtype
    keep: int

    def publish(self, policy: Any, lineage: int, version: int) -> PolicyVersion:
        """Write the weights; returns the announcement to make. Raises OSError."""
        target = self.folder / f"lineage{lineage:03d}-v{version:06d}"
        with atomic_folder(target) as temporary:
            copy_description(self.template, temporary)
            save_file(self._tensors(policy), temporary / WEIGHTS_FILE, metadata={"format": "pt"})
            digest = file_sha256(temporary / WEIGHTS_FILE)
        keep_newest(self.folder, "lineage*-v*", self.keep)
        return PolicyVersion(
            run_id=self.run_id,
            lineage=lineage,
            version=version,
            uri=str(target.resolve()),
            sha256=digest,
            step=version,
            announced_at=time.time(),
        )

    def _tensors(self, policy: Any) -> dict[str, torch.Tensor]:
        """Tied weights once, as transformers writes them."""
        tied = set(getattr(policy, "_tied_weights_keys", None) or ()) if policy.config.tie_word_embeddings else set()
        state = policy.state_dict()
        return {name: tensor.detach().to(self.dtype).contiguous() for name, tensor in state.items() if name not in tied}


def newest_announcement(settings: Settings, bootstrap: str) -> PolicyVersion | None:
    """The last announcement of this run in the log."""
    topic = topic_name(settings.topics.prefix, Topic.POLICY_VERSIONS)
    newest: PolicyVersion | None = None
    with LogReader(settings.broker, bootstrap, [topic]) as reader:
        for record in reader.read_to_end():
            message = decode_by_schema(record.value, record.headers)
            if isinstance(message, PolicyVersion) and message.run_id == settings.run.id:
                newest = message
    return newest
