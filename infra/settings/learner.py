"""The learner's settings: PPO's numbers with their sources, and what is kept of its work."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from infra.settings.objective import DivergenceGuardSettings, KLSettings, ObjectiveSettings, OverlongSettings
from infra.settings.secret import refuse_credentials
from infra.settings.section import Fraction, NumberUnit, Seconds, SettingsSection, Threads

LoggerKind = Literal["tensorboard", "wandb"]
DeviceKind = Literal["auto", "cpu", "cuda"]

LearningRate = Annotated[float, Field(gt=0), NumberUnit("factor")]
ClipRange = Annotated[float, Field(gt=0), NumberUnit("ratio")]


class ValueSettings(SettingsSection):
    """The value model, which GAE needs."""

    kind: Literal["none", "head", "model"] = "model"
    """`model`: a separate value model. `head`: a scalar head on the policy's last hidden state, detached. `none`:
    advantages come from scores alone."""
    path: str = ""
    """Folder that kind = 'model' starts from: a language model, judge or reward model with the policy's tokenizer. A
    scalar head in it, such as that of a sequence classifier with one label, becomes the value head. Empty means the
    policy's folder; the paper starts from the reward model."""
    pretrain_steps: Annotated[int, Field(ge=0), NumberUnit("steps")] = 0
    """First steps that train only the values, on Monte-Carlo returns of the policy, which is kept as it is (VC-PPO
    2503.01491; VAPO 2504.05118 takes 50). Each uses a batch and makes a version, which is announced with
    the files of the one before; its groups end as trained for the reason `value_only`."""
    learning_rate: LearningRate = 2e-6
    """AdamW's learning rate for the value model (VAPO 2504.05118, section 5.1)."""
    clip: Annotated[float, Field(ge=0), NumberUnit("score")] = 0.2
    """Clip range around the old value, as for the policy's ratio; 0 turns it off."""
    coefficient: Annotated[float, Field(ge=0), NumberUnit("factor")] = 1.0
    """Weight of the value loss relative to the policy's. With kind = 'model' the two share no weights."""


class ReplaySettings(SettingsSection):
    """Training again on the log of another run. Its groups are taken in their order, each once, and none is dropped as
    stale: the version numbers of two histories do not compare, and the staleness that is reported is a count of steps.
    What bounds a step is the clipped ratio to the engine's own log-probabilities.
    """

    run: str = ""
    """Id of the run whose log is read. Empty: the learner reads its own run's log as it grows."""
    prefix: str = ""
    """The topics.prefix of that run."""
    scores: str = ""
    """NAME@VERSION of a rescore whose scores replace those of the run; groups that it did not score keep their own.
    Empty: the scores of the run itself."""


class LoraSettings(SettingsSection):
    """Training an adapter instead of the weights (LoRA, 2106.09685). Versions and checkpoints are then adapters over
    model.path, which peft merges into it. The value model is trained whole; learner.value.kind = 'head' keeps it small.
    """

    rank: Annotated[int, Field(ge=0, le=512), NumberUnit("rank")] = 0
    """LoRA rank; 0 trains all weights. A sample's reward carries few bits, so RL needs little capacity: 8 to 32 is
    usually enough."""
    alpha: Annotated[int, Field(ge=1), NumberUnit("factor")] = 32
    """Scale of the adapter, which is multiplied by alpha / rank. This makes the best learning rate nearly independent
    of the rank; it is about ten times that of full fine-tuning."""
    target_modules: tuple[str, ...] = ()
    """Names of the linear layers that get an adapter, such as "q_proj"; empty: all except the output head."""


class LearnerSettings(SettingsSection):
    """The learner: advantages, loss, optimizer, memory, checkpoints and published versions."""

    advantage: Literal["gae", "group", "centred", "rloo", "score"] = "gae"
    """Advantage estimator. `gae` uses values. The others use scores alone: `group`, normalised within the group (GRPO
    2402.03300); `centred`, minus the group's mean (Dr. GRPO 2503.20783); `rloo`, minus the mean of the group's other
    responses (2402.14740); `score`, the return itself (REINFORCE, Williams 1992)."""
    normalise: Literal["auto", "batch", "none"] = "auto"
    """`batch`: advantages get zero mean and unit variance over the batch's tokens (REINFORCE++ 2501.03262). `auto`:
    only those of GAE do, because their scale follows the values'."""
    gamma: Fraction = 1.0
    """Discount per token. The score comes at the end, so a discount would only favour short answers."""
    lambda_policy: Fraction = 0.95
    """GAE's lambda for the policy's advantages (VAPO 2504.05118, section 5.1, as gamma and learning_rate)."""
    lambda_value: Fraction = 1.0
    """Lambda of the value model's targets; 1.0 is VC-PPO's choice (2503.01491)."""
    lambda_alpha: Annotated[float, Field(ge=0), NumberUnit("factor")] = 0.0
    """If above 0, the policy's lambda depends on the response's length and replaces lambda_policy: 1 - 1 / (alpha *
    length) (VAPO 2504.05118, which takes 0.05: made for thousands of tokens, and 0 below 20 tokens). 0 turns it off."""
    group_std_floor: Annotated[float, Field(ge=0), NumberUnit("score")] = 0.05
    """Added to the group's standard deviation when advantages are normalised."""
    zero_variance_std: Annotated[float, Field(ge=0), NumberUnit("score")] = 0.01
    """A group whose scores have a smaller standard deviation counts as one without variance: it carries no gradient."""
    filter_zero_variance: bool = True
    """Whether groups without variance are filtered (dynamic sampling, DAPO 2503.14476). The slot then goes to a group
    that teaches something."""
    value: ValueSettings = ValueSettings()
    objective: ObjectiveSettings = ObjectiveSettings()
    kl: KLSettings = KLSettings()
    overlong: OverlongSettings = OverlongSettings()
    divergence_guard: DivergenceGuardSettings = DivergenceGuardSettings()
    learning_rate: LearningRate = 1e-6
    """AdamW's learning rate for the policy, constant after the warmup (VAPO 2504.05118, section 5.1)."""
    betas: Annotated[tuple[float, float], NumberUnit("fraction")] = (0.9, 0.95)
    """AdamW's decay rates of the first and second moment. 0.95 is a second moment over 20 steps, usual for language
    models; with 0.999 a short run would end before it settles."""
    weight_decay: Annotated[float, Field(ge=0), NumberUnit("factor")] = 0.0
    """AdamW's weight decay. 0, because the policy should stay near where it started, not near 0."""
    warmup_steps: Annotated[int, Field(ge=0), NumberUnit("steps")] = 3
    """Steps over which the learning rate rises from 0: AdamW's second moments are noise at first."""
    gradient_clip: Annotated[float, Field(gt=0), NumberUnit("norm")] = 1.0
    """Largest norm of a model's gradient, over all its parameters."""
    minibatches: Annotated[int, Field(ge=1), NumberUnit("updates")] = 2
    """Mini-batches per batch, each with one optimizer update. Each update is one further from the policy that
    sampled."""
    clip_low: ClipRange = 0.2
    """The ratio is clipped below 1 - clip_low (PPO 1707.06347)."""
    clip_high: ClipRange = 0.28
    """The ratio is clipped above 1 + clip_high (clip-higher, DAPO 2503.14476)."""
    param_dtype: Literal["float32", "bfloat16"] = "float32"
    """Type of the models' weights. Log-probabilities, values and losses are float32 either way."""
    fp32_masters: bool = True
    """Whether the optimizer keeps a float32 copy of bfloat16 weights, 4 more bytes per parameter. Without it, an update
    below 1/256 of a weight is lost in bfloat16."""
    autocast: bool = True
    """Whether matrix products over float32 weights are computed in bfloat16."""
    device: DeviceKind = "auto"
    """Device of models and optimizers. `auto`: a CUDA device if torch sees one, else the CPU, so that one recipe runs
    on both. `cuda` refuses to start without one, instead of running slowly."""
    processes: Annotated[int, Field(ge=1), NumberUnit("processes")] = 1
    """Processes that `serve learner` starts on this host with torchrun, one per GPU; models and optimizers are sharded
    over them. For several hosts call torchrun yourself: torchrun ... -m infra.cli.main serve learner. Its own number of
    processes then counts."""
    threads: Threads = 1
    """Torch threads of each learner process; 0 leaves torch's default. See rollout.engine.threads."""
    packed_row_tokens: Annotated[int, Field(ge=64), NumberUnit("tokens")] = 1024
    """Tokens in one packed row, which bounds a step's memory. A group longer than this makes a row of its own."""
    logits_chunk_tokens: Annotated[int, Field(ge=0), NumberUnit("tokens")] = 1024
    """Targets of one row whose logits exist at the same time, in the type of the matrix products; 0 for all. A row with
    more targets computes its logits twice, which costs a seventh of a step with SmolLM2-135M; no row of the default
    packed_row_tokens has more."""
    gradient_checkpointing: bool = False
    """Whether only each layer's input is kept for the backward pass and the rest is recomputed: a third more
    arithmetic, for models or rows whose activations do not fit. Those of the default row take 1 GB with SmolLM2-135M,
    and a fifth of that with checkpointing."""
    max_staleness: Annotated[int, Field(ge=0), NumberUnit("versions")] = 4
    """Hard check: a group whose oldest token is more versions old than this is dropped as stale and counted. The
    default is above what admission lets through (2 versions with its defaults) plus an engine that lags, so it only
    catches what went wrong."""
    batch_wait_seconds: Seconds = 5.0
    """A batch that is not full is trained on after nothing has been in flight for this long, as at the end of a run."""
    checkpoint_every: Annotated[int, Field(ge=1), NumberUnit("versions")] = 5
    """Versions between full checkpoints. After a crash the work since the last one is redone from the log."""
    keep_checkpoints: Annotated[int, Field(ge=1), NumberUnit("checkpoints")] = 2
    """Newest checkpoints to keep. If the newest turns out to be damaged, the one before it is used."""
    keep_versions: Annotated[int, Field(ge=2), NumberUnit("versions")] = 3
    """Newest published versions to keep: an engine may still be loading the one before the newest."""
    publish_to: str = ""
    """Place where versions are published for the engines: an fsspec URL such as s3://bucket/path (which needs the
    package of its protocol, here s3fs), under which each run has a folder. Empty: the run's own folder, on a disk that
    learner and engines share."""
    publish_outage_seconds: Seconds = 1800.0
    """Longest absence of publish_to that the learner waits out with the version that it holds; its next step waits for
    it, too."""
    loggers: tuple[LoggerKind, ...] = ()
    """Loggers that get the scalars of infra/scalars, in addition to Prometheus and steps.jsonl. A logger that fails
    does not stop the run. They need `pip install 'rewardstream[loggers]'`. W&B reads its own environment variables:
    WANDB_MODE=offline sends nothing."""
    lora: LoraSettings = LoraSettings()
    replay: ReplaySettings = ReplaySettings()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.advantage == "gae" and self.value.kind == "none":
            raise ValueError("learner.advantage = 'gae' needs values: set learner.value.kind to 'model' or 'head'")
        if self.value.kind == "none" and self.value.pretrain_steps:
            raise ValueError("learner.value.pretrain_steps trains a value model, and learner.value.kind is 'none'")
        if self.value.path and self.value.kind != "model":
            raise ValueError("learner.value.path is where a value model starts: it needs learner.value.kind = 'model'")
        if self.objective.weight == "vtrace" and self.advantage != "gae":
            raise ValueError("learner.objective.weight = 'vtrace' corrects values: it needs learner.advantage = 'gae'")
        if self.publish_to and "://" not in self.publish_to:
            raise ValueError(
                f"learner.publish_to = {self.publish_to!r} is not a URL: give one such as s3://bucket/path or "
                "file:///shared/path, or leave it empty for the run's own folder"
            )
        refuse_credentials(
            self.publish_to, "learner.publish_to", "the store's client reads them from its own environment variables"
        )
        if self.param_dtype != "float32" and self.processes > 1:
            raise ValueError(
                "learner.param_dtype = 'bfloat16' is for one process: with learner.processes above 1 the float32 "
                "weights are spread over them instead"
            )
        if self.advantage != "gae" and self.lambda_alpha:
            raise ValueError("learner.lambda_alpha is a lambda of GAE: it needs learner.advantage = 'gae'")
        return self
