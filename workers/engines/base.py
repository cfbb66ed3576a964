"""The one interface to generation engines: requests in, tokens out, weights swapped between two steps.

Invariants that every engine keeps (tests/support/engine_contract.py):
- The log-probs of a generation are those of the distribution that its tokens were sampled from.
- `load_weights` drops no running request: tokens so far stay, later ones come from the new weights, and `spans` says
  which version made which tokens.
- A request that is aborted changes no other.
- A generation ends with the end token (`stop`, the token included) or at `max_new_tokens` (`length`).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from streams.messages import Sampling, VersionSpan


class EngineRefusesError(ValueError):
    """The engine cannot run a model of this kind; the text says which engine can."""


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """One prompt, `samples` continuations; `key` names the request in its results."""

    key: str
    prompt_token_ids: tuple[int, ...]
    samples: int
    sampling: Sampling


@dataclass(frozen=True, slots=True)
class Generation:
    """One finished continuation of request `key`."""

    key: str
    index: int
    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    spans: tuple[VersionSpan, ...]
    finish_reason: str
    started: float
    finished: float


@dataclass(frozen=True, slots=True)
class WeightVersion:
    """The version of an engine's weights."""

    lineage: int
    version: int


class Engine(Protocol):
    name: str

    @property
    def weights(self) -> WeightVersion: ...

    @property
    def running(self) -> int:
        """Number of continuations submitted and not yet returned."""
        ...

    def submit(self, request: GenerationRequest) -> None:
        """Queue a request; `step` works on it. Raises ValueError if it cannot fit the model's context."""
        ...

    def step(self) -> list[Generation]:
        """Advance every running continuation by at least one token; returns those that finished."""
        ...

    def abort(self, key: str) -> int:
        """Drop what is left of request `key`, running or queued; it is not returned. Returns the number of its
        continuations; 0 if the engine has none.
        """
        ...

    def load_weights(self, folder: Path, version: WeightVersion) -> None:
        """Swap weights in place, between two steps. If the folder does not load, keeps the old weights and raises
        OSError or ValueError.
        """
        ...

    def encode_chat(self, messages: tuple[dict[str, str], ...]) -> tuple[int, ...]:
        """Returns the token ids of the chat template with the assistant's header."""
        ...

    def decode(self, token_ids: tuple[int, ...]) -> str:
        """Returns the text without special tokens."""
        ...

    def close(self) -> None: ...
