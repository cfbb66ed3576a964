"""The one settings tree: every option of every process, with its default, unit and reason.

Invariant: a tree that loads is consistent; combinations that cannot work fail here, not in a running process.
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from infra.settings.genrm import GenRMSettings
from infra.settings.learner import LearnerSettings
from infra.settings.limits import Limits
from infra.settings.section import Seconds, Section, Share


class BrokerKind(StrEnum):
    AUTO = "auto"
    """cluster where bootstrap_servers is given, else kafka where KAFKA_HOME is set, else embedded."""
    EMBEDDED = "embedded"
    KAFKA = "kafka"
    CLUSTER = "cluster"


class BrokerSettings(Section):
    kind: BrokerKind = BrokerKind.AUTO
    bootstrap_servers: str = ""
    kafka_home: Path | None = None
    """A folder with libs/ as in the official archive; the environment's KAFKA_HOME where unset."""
    session_timeout_seconds: Seconds = 10.0
    """A dead member is noticed after this. The embedded broker's joins take half of it, so it is short."""
    group_instance_id: str = ""
    """Static membership: this process's name in its consumer groups, as a pod's. Unset, because two processes
    must not share it and the embedded broker joins twice as slowly with it; Apache Kafka then skips the wait for
    a killed member's session."""
    connect_timeout_seconds: Seconds = 10.0
    """A client that meets no broker for so long gives up and says so; a local broker is up in four."""
    request_timeout_seconds: Seconds = 30.0
    """Above the broker's own replication timeout, below any deadline of a group."""
    max_message_bytes: Annotated[int, Field(gt=0)] = 8 * 2**20
    """A group's longest rollout with reference and prompt: 32k tokens are 256 KiB of arrays; 8 MiB is ample."""


class TopicSettings(Section):
    prefix: str = ""
    """Set to the run's id by the local stack, so that runs on one broker stay apart."""
    partitions: Annotated[int, Field(ge=1)] = 4
    """Upper bound of the replicas of one stage."""
    replication: Annotated[int, Field(ge=1)] = 1
    retention_hours: Annotated[float, Field(gt=0)] = 24 * 14
    """Replay and rescoring reach back this far."""


class DatabaseSettings(Section):
    url: str = ""
    """postgresql+psycopg://...; empty starts the embedded server."""
    connect_timeout_seconds: Seconds = 10.0


class ModelSettings(Section):
    path: str = "smollm2-135m-instruct"
    """A folder that transformers loads, or the name of the demo's wheel."""
    dtype: Literal["float32", "bfloat16"] = "bfloat16"
    """bfloat16 matrix products are twice as fast on CPUs with avx512_bf16, and at worst equal elsewhere."""


class EngineSettings(Section):
    kind: Literal["hf", "vllm"] = "hf"
    max_running: Annotated[int, Field(ge=1)] = 96
    """Samples decoded together. More rows cost little until the matrix products saturate the cores."""
    max_model_tokens: Annotated[int, Field(ge=16)] = 1024
    """Prompt and response together. It bounds the KV cache: 96 samples of SmolLM2-135M take 2.3 GB at most."""
    threads: Annotated[int, Field(ge=0)] = 1
    """Torch threads of this process; 0 leaves torch's default. Two processes that spin on the same cores
    slow each other three to tenfold, so the local stack gives each its share."""
    vllm_args: dict[str, str | int | float | bool] = {}
    """Passed to vLLM as they are."""


class SamplingSettings(Section):
    temperature: Annotated[float, Field(ge=0)] = 1.0
    """1 samples the policy itself."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    """The learner's log-probabilities are of the whole distribution; below 1 the engine's are of another."""
    max_new_tokens: Annotated[int, Field(ge=1)] = 32
    """Short answers, as the demo's; whoever reasons in the answer sets thousands."""
    max_new_tokens_by_domain: dict[str, Annotated[int, Field(ge=1)]] = {}


class RolloutSettings(Section):
    engine: EngineSettings = EngineSettings()
    sampling: SamplingSettings = SamplingSettings()
    poll_policy_seconds: Seconds = 0.5
    """How soon a new version is seen; far below a step's length."""


class RouterSettings(Section):
    shadow_share: Share = 0.0
    """Share of the groups that the other route scores too, for calibration: what RTV scores by GenRM where there is
    something to judge by, what GenRM scores by the verifier that may veto it."""
    batch: Annotated[int, Field(ge=1)] = 256
    """Acknowledged together: of 16 KiB each they take 4 MiB of memory, and the wait for the broker is spread thin."""
    max_batch_wait_seconds: Seconds = 0.05
    """What waiting for more adds to a rollout's way; far below its seconds in the engine."""


class SandboxSettings(Section):
    """Where verifiers run programs that a model wrote."""

    kind: Literal["auto", "bubblewrap", "subprocess"] = "auto"
    """`subprocess` isolates far less and says so; auto takes it only where bubblewrap cannot work."""
    interpreters: dict[str, Annotated[tuple[str, ...], Field(min_length=1)]] = {}
    """Command line by language, the program's file is appended: {"bash": ["bash"], "node": ["node"]}. `python` is
    always there, the service's own interpreter, started ahead of time; the others start when they are asked."""
    packages: bool = True
    """Python programs may import what is installed beside the service; false leaves the standard library."""
    warm: Annotated[int, Field(ge=0)] = 2
    """Python interpreters that wait for a program, per verifier process and verifier; each takes 10 MiB and is used
    once. Two: one waits while another starts, which takes 20 ms."""
    memory_mib: Annotated[int, Field(ge=64)] = 512
    """Of one program with all its processes. Python takes 10, NumPy 100."""
    processes: Annotated[int, Field(ge=1)] = 32
    """Processes and threads of one program: far above an honest one's, far below a fork flood's."""
    output_kib: Annotated[int, Field(ge=1)] = 1024
    """Of stdout and of stderr, each. An honest answer is a few KiB."""
    file_mib: Annotated[int, Field(ge=1)] = 32
    """All files that one program may keep."""
    case_seconds: Seconds = 4.0
    """Longest time limit of one test case, and the one of tests that name none. Half of the budget, nearly: one slow
    case is told as such."""
    budget_seconds: Seconds = 10.0
    """Per verdict of a verifier that uses the sandbox, all cases together; its process is killed after it."""


class RtvSettings(Section):
    workers: Annotated[int, Field(ge=1)] = 1
    """Killable verifier processes; one does 200 verdicts a second."""
    timeout_seconds: Seconds = 5.0
    """Per verdict; the process is killed after it. A mathematics verdict takes 4 ms. Verifiers that use the sandbox
    have sandbox.budget_seconds."""
    memory_mib: Annotated[int, Field(ge=512)] = 1024
    """Address space of one verifier process: its imports take 0.3 GiB, a mathematics verdict a few MiB."""
    batch: Annotated[int, Field(ge=1)] = 64
    """Acknowledged together; what is done again after a kill is at most so much."""
    max_batch_wait_seconds: Seconds = 0.05
    """As the router's."""
    attempts: Annotated[int, Field(ge=1)] = 3
    """For infra_error, with exponential backoff, before the score is published as None."""
    backoff_seconds: Seconds = 0.5
    """A verifier process that died is replaced in less."""
    sandbox: SandboxSettings = SandboxSettings()


class DifficultySettings(Section):
    batch: Annotated[int, Field(ge=1)] = 128
    """Rows in one transaction, whose cost is spread over them."""
    max_batch_wait_seconds: Seconds = 0.2
    """Nobody waits for a single row."""
    decay: Share = 0.9
    """Weight of the past in the exponentially decayed mean, per score."""


class AdmissionSettings(Section):
    staleness: Annotated[int, Field(ge=0)] = 1
    """S: versions a group may lag behind the step that trains on it. 0 trains synchronously: groups start on the
    weights that the step before made, and engines and learner wait for each other."""
    groups_per_step: Annotated[int, Field(ge=1)] = 8
    """P: groups in a training batch."""
    window_share: Annotated[float, Field(gt=0, le=1)] = 0.3
    """f: window W = max(1, floor(f * (S+1) * P)) anchored at the oldest open group."""
    deadline_seconds: Seconds = 300.0
    """A group older than this is expired, so that one straggler wedges nothing."""


class PrePPOSettings(Section):
    """Pre-PPO prompt selection (arXiv 2503.22230, section 3.2)."""

    enabled: bool = True
    keep_share: Annotated[float, Field(gt=0, le=1)] = 0.1
    """The lowest-scoring share of the new prompts; 10 % was best in the paper."""
    samples: Annotated[int, Field(ge=1)] = 5
    """k: responses of the initial policy per new prompt. Five let four agree, which shows a wrong reference."""
    normalise: Literal["rank", "zscore"] = "rank"
    """By rank every domain keeps the same share, however its scores are spread."""
    every_versions: Annotated[int, Field(ge=0)] = 0
    """Select again after so many versions; 0 selects once."""


class SelectorSettings(Section):
    admission: AdmissionSettings = AdmissionSettings()
    preppo: PrePPOSettings = PrePPOSettings()
    group_size: Annotated[int, Field(ge=2)] = 8
    """Responses to a prompt: enough for their mean to say something, few enough for many prompts a step."""
    domain_shares: dict[str, Annotated[float, Field(ge=0)]] = {}
    """Relative weight of each domain in dispatch; missing domains weigh 1."""
    eval_samples: Annotated[int, Field(ge=1)] = 4
    """Responses to a held-out prompt (avg@4): more prompts say more than more samples of one."""
    eval_at_start: bool = True
    eval_at_end: bool = True
    eval_every_versions: Annotated[int, Field(ge=0)] = 0
    """Held-out prompts beside training after so many versions, on a quarter of the engine; 0 leaves it all to
    training."""
    max_steps: Annotated[int, Field(ge=0)] = 0
    """Training ends at this version; 0 means no bound."""
    max_train_seconds: Annotated[float, Field(ge=0)] = 0
    """Dispatch for training ends after so long; 0 means no bound."""
    poll_seconds: Seconds = 0.2
    """How soon a slot that is free is filled; far below a step's seconds."""


class MetricsSettings(Section):
    port: Annotated[int, Field(ge=0, le=65535)] = 9464
    """0 turns the endpoint off. The local stack gives every process its own; a single one has the port that
    OpenTelemetry gives Prometheus exporters."""
    host: str = "127.0.0.1"
    """The endpoint asks nobody who they are; 0.0.0.0 opens it to a scraper elsewhere."""


class RunSettings(Section):
    id: str = ""
    """Empty: made from the clock."""
    folder: Path = Path("runs")
    prepared: Path = Path("runs/prepared")
    """Where SFT and judge are kept by content hash."""
    seed: int = 0


class DataSettings(Section):
    prompts: Path | None = None
    """JSONL or Parquet to ingest; empty in the demo, which makes its own."""
    heldout: Path | None = None


class Settings(Section):
    """The whole tree."""

    run: RunSettings = RunSettings()
    data: DataSettings = DataSettings()
    broker: BrokerSettings = BrokerSettings()
    topics: TopicSettings = TopicSettings()
    database: DatabaseSettings = DatabaseSettings()
    model: ModelSettings = ModelSettings()
    rollout: RolloutSettings = RolloutSettings()
    router: RouterSettings = RouterSettings()
    rtv: RtvSettings = RtvSettings()
    genrm: GenRMSettings = GenRMSettings()
    difficulty: DifficultySettings = DifficultySettings()
    selector: SelectorSettings = SelectorSettings()
    learner: LearnerSettings = LearnerSettings()
    metrics: MetricsSettings = MetricsSettings()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        oldest = Limits.of(self.selector.admission).max_age
        if self.learner.max_staleness < oldest:
            raise ValueError(
                f"learner.max_staleness = {self.learner.max_staleness} drops what selector.admission lets through: its "
                f"groups age {oldest} versions at most, and one more where an engine is late; set it to {oldest + 1}"
            )
        if self.learner.replay.scores and not self.learner.replay.run:
            raise ValueError("learner.replay.scores needs learner.replay.run, the run that was scored again")
        if self.learner.replay.run and self.learner.replay.run == self.run.id:
            raise ValueError("learner.replay.run is this run itself: training again needs a run.id of its own")
        if self.broker.kind is BrokerKind.CLUSTER and not self.broker.bootstrap_servers:
            raise ValueError("broker.kind = 'cluster' needs broker.bootstrap_servers")
        return self
