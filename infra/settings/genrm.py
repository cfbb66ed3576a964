"""The generative judge's settings.

Invariant: a section that loads is one that its backend and form can do.
"""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from infra.settings.section import Seconds, Section, Share


class GenRMSettings(Section):
    backend: Literal["hf", "openai"] = "hf"
    model: str = "smollm2-135m-instruct"
    dtype: Literal["float32", "bfloat16"] = "bfloat16"
    threads: Annotated[int, Field(ge=0)] = 1

    endpoint: str = ""
    """Base URL of an OpenAI-compatible server, with /v1."""
    api_key: str = ""
    api: Literal["auto", "completions", "chat"] = "auto"
    """auto: /completions where the server has it. `chat` puts the prompt into the model's chat template."""
    connections: Annotated[int, Field(ge=1)] = 16
    """Requests in work at a server, of 16 prompts each where it has /completions: vLLM's own batch is 256."""

    prompt: Literal["auto", "short", "rubric"] = "auto"
    """`short` for a judge fitted on it, `rubric` for a large one that was not; auto: short on hf, rubric on openai."""
    verdicts: Literal[2, 3] = 2
    """2: YES, NO. 3: CORRECT, INCORRECT, INVALID, the last for what is cut short, repetitive or a refusal; it earns
    nothing and its share is in the verdict's details."""
    orders: Literal["auto", "one", "both"] = "auto"
    """Beside a reference. both: candidate and reference each first once, averaged, for twice the cost; a preference
    for a place cancels out, and its rate is exported. auto: both in the rubric form, one in the short form."""
    references: Annotated[int, Field(ge=1)] = 1
    """Averages over so many best-of-N references, best first; the cost grows with them."""
    rubrics: dict[str, str] = {}
    """What counts in a domain, by its name, beside the general rules."""
    rubrics_path: Path | None = None
    """A TOML file of domain = "text", or a folder of DOMAIN.md or DOMAIN.txt; `rubrics` wins over it."""
    response_characters: Annotated[int, Field(ge=512)] = 32_000
    """Of question, reference and response each, in the rubric form: about 8k tokens. What is longer loses its middle,
    and the judge is told."""
    votes: Annotated[int, Field(ge=0)] = 0
    """Sampled verdicts with the reasoning before each; the score is the share of YES among them. 0 reads one token's
    distribution, which costs a hundredth; votes are for judges that judge better when they may think."""
    vote_temperature: Annotated[float, Field(gt=0)] = 0.7
    """0 would give the same vote every time."""
    vote_tokens: Annotated[int, Field(ge=16)] = 1024
    """A few sentences take 200; a vote that is cut off has no verdict."""

    batch: Annotated[int, Field(ge=1)] = 32
    max_batch_wait_seconds: Seconds = 0.1
    """Waiting fills the judge's batch; short beside a batch's seconds."""
    timeout_seconds: Seconds = 60.0
    """For all of one batch, not for each read; what is unanswered then is asked again."""
    attempts: Annotated[int, Field(ge=1)] = 5
    backoff_seconds: Seconds = 0.5

    uncovered_mass_alarm: Share = 0.5
    """Verdict mass missing above this makes the verdict suspicious; it is counted, not dropped."""
    canary_every: Annotated[int, Field(ge=0)] = 32
    """A canary batch after so many batches; 0 turns it off."""
    canary_alarm: Share = 0.01
    """Share of canaries called right above which the alarm rises: a judge that falls for one in a hundred is found by
    a policy that tries thousands."""
    canary_window: Annotated[int, Field(ge=1)] = 1000
    """Latest canaries over which the share is taken: ten are the alarm."""

    @property
    def short(self) -> bool:
        """The form that `prompt` comes to."""
        return self.prompt == "short" or (self.prompt == "auto" and self.backend == "hf")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.backend == "openai" and not self.endpoint:
            raise ValueError("genrm.backend = 'openai' needs genrm.endpoint, the server's base URL with /v1")
        if self.endpoint and not self.endpoint.startswith(("http://", "https://")):
            raise ValueError(f"genrm.endpoint = {self.endpoint!r} must begin with http:// or https://")
        if self.votes and self.backend == "hf":
            raise ValueError("genrm.votes needs genrm.backend = 'openai': the hf judge samples nothing")
        given = {"verdicts = 3": self.verdicts == 3, "votes": self.votes > 0}
        given |= {"rubrics": bool(self.rubrics), "rubrics_path": self.rubrics_path is not None}
        for name in [name for name, is_given in given.items() if is_given and self.short]:
            raise ValueError(f"genrm.{name} needs genrm.prompt = 'rubric': the short form's words are fixed by its fit")
        return self
