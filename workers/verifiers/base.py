"""The one interface to RTV verifiers: a question and a response in, a verdict out, in a killable process.

Invariant: a verifier is a pure function of its arguments. It raises only if it has a defect, which the pool
turns into `infra_error`; a response that cannot be judged is `unparseable` with score 0.

To add one: write a class of the shape of `Verifier` below, in any installed package; name it in that package's
pyproject.toml under `[project.entry-points."rewardstream.verifiers"]` as `mine = "package.module:Class"`; install it.
A prompt whose `verifier` is `mine` is then judged by it; `workers/verifiers/example` is such a package, whole, with its
test. One that runs programs makes a sandbox in `configure` (workers.sandbox.factory) and sets `sandboxed`. Change
`version` whenever a verdict may change.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, runtime_checkable

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
    """Which answers count, in a few sentences, for the user. The contract test needs an example of each sentence."""
    options: Mapping[str, str]
    """The meaning and default of each option of a question that the verifier reads, for the user."""

    def verify(self, question: Question, response: str) -> Verdict: ...


class OptionsError(ValueError):
    """The prompt's reference or options are wrong; the text says how."""


GENERAL_OPTIONS = {
    "must_finish": "true: a response that is cut off scores 0, whatever it says (default false)",
    "domain": "a name for the kind of prompt, which a judge may have its own rubric for",
}
"""Options of a question that no verifier reads, and that none refuses."""


class BaseVerifier(ABC):
    """The base class of verifiers: it refuses a prompt with options that the verifier does not have."""

    name: str
    version: str
    options: ClassVar[Mapping[str, str]]

    def verify(self, question: Question, response: str) -> Verdict:
        """Returns the verdict of `judge`, or infra_error if the prompt is wrong."""
        wrong = self._wrong_form(question)
        if wrong is not None:
            return self._refused(wrong)
        try:
            return self.judge(question, response)
        except OptionsError as error:
            return self._refused(error)

    def prompt_fault(self, question: Question) -> str | None:
        """Why no response to this prompt can be judged, or None."""
        verdict = self.verify(question, "")
        return verdict.why if verdict.status is Status.INFRA_ERROR else None

    def _wrong_form(self, question: Question) -> str | None:
        if not isinstance(question.ground_truth, str | None):
            kind = type(question.ground_truth).__name__
            return f"the reference must be a text, not {question.ground_truth!r:.80} ({kind})"
        unknown = [name for name in question.options if name not in self.options and name not in GENERAL_OPTIONS]
        if unknown:
            known = ", ".join(sorted(self.options)) or "none"
            return f"unknown options: {', '.join(map(str, unknown))}; {self.name} has: {known}"
        return None

    @abstractmethod
    def judge(self, question: Question, response: str) -> Verdict:
        """The verdict on a response. Raises OptionsError if the prompt's reference or options are wrong."""

    def _verdict(self, score: float | None, status: Status, why: str, details: dict[str, Any] | None = None) -> Verdict:
        return Verdict(score, status, why, self.name, self.version, details=details or {})

    def _refused(self, why: object) -> Verdict:
        """Returns the verdict on a prompt that is wrong, whatever the response says."""
        return self._verdict(None, Status.INFRA_ERROR, f"{why}; correct the prompt")


def prompt_fault(verifier: Verifier, question: Question) -> str | None:
    """Why the verifier can judge no response to this prompt, or None: the reference and the options are read, and
    nothing is judged. By the contract of verifiers, a prompt that is wrong is infra_error whatever the response says,
    so the empty response tells.
    """
    if isinstance(verifier, BaseVerifier):
        return verifier.prompt_fault(question)
    verdict = verifier.verify(question, "")
    return verdict.why if verdict.status is Status.INFRA_ERROR else None


def flag(options: Mapping[str, Any], name: str, *, default: bool = False) -> bool:
    """Reads an option that is true or false. Raises OptionsError if it is anything else."""
    value = options.get(name, default)
    if not isinstance(value, bool):
        raise OptionsError(f"option {name} must be true or false, not {value!r:.80}")
    return value


@runtime_checkable
class Configured(Protocol):
    """A verifier that reads settings; `configure` is called once per process, before the first verdict."""

    def configure(self, settings: RtvSettings) -> None: ...


def is_sandboxed(verifier: Verifier) -> bool:
    """A verifier with the class attribute `sandboxed = True` has rtv.sandbox.budget_seconds for a verdict; any other
    has rtv.timeout_seconds.
    """
    return bool(getattr(verifier, "sandboxed", False))
