"""The one interface to RTV verifiers: a question and a response in, a verdict out, in a killable process.

Invariant: a verifier is a pure function of its arguments. It raises only on its own defects, which the pool
turns into `infra_error`; a response that cannot be judged is `unparseable` with score 0.

To add one: write a class of the shape of `Verifier` below, in any installed package; name it in that package's
pyproject.toml under `[project.entry-points."rewardstream.verifiers"]` as `mine = "package.module:Class"`; install it.
A prompt whose `verifier` is `mine` is then judged by it; `workers/verifiers/example` is such a package, whole, with its
test. One that runs programs makes a sandbox in `configure` (workers.sandbox.factory) and sets `sandboxed`. Change
`version` whenever a verdict may change.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from infra.settings.tree import RtvSettings
from streams.messages import Question, Status


@dataclass(frozen=True, slots=True)
class Verdict:
    """`score` is in [0, 1], and None exactly for infra_error."""

    score: float | None
    status: Status
    why: str
    scorer: str
    version: str
    seconds: float = 0.0
    details: dict[str, Any] = field(default_factory=dict)


class Verifier(Protocol):
    """Entry points of `rewardstream.verifiers` name classes of this shape; they take no arguments."""

    name: str
    version: str
    policy: str
    """Which answers count, in a sentence or three, for the user."""
    options: Mapping[str, str]
    """Each of the question's options that it reads, with its meaning and default, for the user."""

    def verify(self, question: Question, response: str) -> Verdict: ...


class OptionsError(ValueError):
    """The prompt's reference or options are wrong; the text says what is."""


class Signed:
    """What a verifier may inherit: verdicts that bear its name and version."""

    name: str
    version: str

    def _verdict(self, score: float | None, status: Status, why: str, details: dict[str, Any] | None = None) -> Verdict:
        return Verdict(score, status, why, self.name, self.version, details=details or {})

    def _refused(self, why: object) -> Verdict:
        """Of a prompt by which no response can be judged."""
        return self._verdict(None, Status.INFRA_ERROR, f"{why}; correct the prompt")


@runtime_checkable
class Configured(Protocol):
    """What a verifier has that reads settings; called once in each process, before the first verdict."""

    def configure(self, settings: RtvSettings) -> None: ...


def is_sandboxed(verifier: Verifier) -> bool:
    """A verifier with the class attribute `sandboxed = True` has rtv.sandbox.budget_seconds for a verdict; any other
    has rtv.timeout_seconds.
    """
    return bool(getattr(verifier, "sandboxed", False))
