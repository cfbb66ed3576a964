"""Settings of the cross-check, which has a second scorer judge a sample of what was rewarded."""

from typing import Annotated, Any, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from infra.settings.genrm import GenRMSettings
from infra.settings.secret import secret_paths
from infra.settings.section import Fraction, NumberUnit, Seconds, SettingsSection

THIS_JUDGE, OTHER_JUDGE = "genrm", "judge"
"""Names of second scorers that are judges; any other name is a verifier's."""


class CrossCheckSettings(SettingsSection):
    """The cross-check: a second scorer judges held-out responses and a sample of the training responses, from the log
    and apart from the scorers, which never wait for it.
    """

    scorers: dict[str, str] = {}
    """The second scorer by domain or by route (`rtv`, `genrm`); a domain wins. A verifier's name; `genrm`: the run's
    judge; `judge`: another judge, which `judge` describes. {genrm = "math"} checks a judge by a verifier, {rtv =
    "genrm"} a verifier by the judge. Empty, because which scorer can check which depends on the prompts."""
    judge: dict[str, Any] = {}
    """Settings of the judge `judge`, in addition to those of the section `genrm`: {model = "...", endpoint = "..."}."""
    share: Fraction = 0.1
    """Fraction of the training groups in the sample. Held-out responses are all checked: they are few, and the guard
    compares them. With 8 groups per step, a tenth is about one group per version."""
    max_age_seconds: Seconds = 120.0
    """A training response that was scored longer ago than this is passed over. So a second scorer that is slower than
    the first checks a smaller sample, instead of falling further and further behind."""
    edit_responses: Annotated[int, Field(ge=2), NumberUnit("responses")] = 5
    """Responses of a group among which the largest edit distance is taken; five, as in the paper (2503.22230)."""
    edit_characters: Annotated[int, Field(ge=16), NumberUnit("characters")] = 512
    """Length to which a response is cut for its edit distance. It bounds the cost: ten pairs of 512 characters take 3
    ms. Templates show in the first sentences."""
    batch: Annotated[int, Field(ge=1), NumberUnit("rollouts")] = 32
    """Largest number of responses that are read and acknowledged together."""
    max_batch_wait_seconds: Seconds = 0.5
    """Longest wait for a batch to fill. Nobody waits for a single verdict of the sample."""
    nice: Annotated[int, Field(ge=0, le=19), NumberUnit("niceness")] = 10
    """Niceness of the process, so that on a shared machine it takes only the time that engine, scorers and learner
    leave."""

    @field_validator("judge")
    @classmethod
    def _mask_secrets(cls, judge: dict[str, Any]) -> dict[str, Any]:
        names = set(secret_paths(GenRMSettings))
        return {
            name: SecretStr(entry) if name in names and isinstance(entry, str) else entry
            for name, entry in judge.items()
        }

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.scorers.get("genrm") == THIS_JUDGE:
            raise ValueError(
                "crosscheck.scorers: genrm cannot check itself; name a verifier, or `judge` with crosscheck.judge"
            )
        if (OTHER_JUDGE in self.scorers.values()) != bool(self.judge):
            raise ValueError("crosscheck.judge and a scorer `judge` in crosscheck.scorers need each other")
        return self

    def scorer_of(self, domain: str, route: str) -> str | None:
        """Name of the second scorer of a rollout; None if it has none."""
        return self.scorers.get(domain) or self.scorers.get(route)

    def other_judge(self, genrm: GenRMSettings) -> GenRMSettings:
        """Settings of the judge `judge`. Raises pydantic.ValidationError."""
        own_key = {"api_key": "", "api_key_file": None} if self.judge.keys() & {"api_key", "api_key_file"} else {}
        return GenRMSettings.model_validate(genrm.model_dump() | own_key | self.judge)
