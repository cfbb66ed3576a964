"""What an answer's score depends on, as a digest: two scores with one digest are draws from one distribution.

Invariant: whatever can change the distribution of a score enters the digest: the weights and their type, the prompt,
how it is sampled, and which scorer in which version judges it against what. What only says when or where the score was
made does not enter it: run, order, engine slots, machine.
"""

import hashlib
from dataclasses import asdict, dataclass
from typing import Any

import msgspec

from streams.messages import Question


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """How a prompt is answered, apart from the prompt itself."""

    weights: str
    """Digest of the model's weights."""
    dtype: str
    engine: str
    temperature: float
    top_p: float
    seed: int
    """Seed of the evaluation: another one draws other responses."""


def asked_digest(
    conditions: Conditions, messages: tuple[dict[str, str], ...], question: Question, max_new_tokens: int, scorer: str
) -> str:
    """64 hexadecimal digits. `scorer` names the scorer with its version, and that of the verifier that may veto."""
    content: list[Any] = [asdict(conditions), messages, question, max_new_tokens, scorer]
    return hashlib.sha256(msgspec.json.encode(content, order="deterministic")).hexdigest()
