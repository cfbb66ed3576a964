"""The learner's settings: PPO's numbers with their sources, and what is kept of its work."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from infra.settings.objective import DivergenceGuardSettings, KLSettings, ObjectiveSettings, OverlongSettings
from infra.settings.section import Seconds, Section, Share

LoggerKind = Literal["tensorboard", "wandb"]
DeviceKind = Literal["auto", "cpu", "cuda"]


class ValueSettings(Section):
    kind: Literal["none", "head", "model"] = "model"
    """`model`: a value model of its own; `head`: a scalar head on the policy's last hidden state, detached;
    `none`: advantages from scores alone."""
    path: str = ""
    """Of `model`: starts from this folder, a language model, judge or reward model with the policy's tokenizer; where
    it has a scalar head, as a sequence classifier of one label has, that is the value head too. Empty means the
    policy's folder. The paper starts from the reward model."""
    pretrain_steps: Annotated[int, Field(ge=0)] = 0
    """The first steps train the values alone, on Monte-Carlo returns of the policy that is held (VC-PPO 2503.01491;
    VAPO 2504.05118 has 50). Each takes a batch and makes a version, whose weights are those before it."""
    learning_rate: Annotated[float, Field(gt=0)] = 2e-6
    """VAPO (2504.05118, section 5.1)."""
    clip: Annotated[float, Field(ge=0)] = 0.2
    """Value clipping range, as the policy's; 0 turns it off."""
    coefficient: Annotated[float, Field(ge=0)] = 1.0
    """Of the value loss beside the policy's, which share no weights."""


class ReplaySettings(Section):
    """Training again on the log of another run. Its groups are taken in their order, each once, and none is dropped as
    stale: version numbers of two histories do not compare, and the staleness that is reported is a count of steps. What
    bounds a step is the clipped ratio to the engine's own log-probabilities.
    """

    run: str = ""
    """That run's id; empty: the learner reads its own run's log as it grows."""
    prefix: str = ""
    """Its topics.prefix."""
    scores: str = ""
    """NAME@VERSION of a rescore; groups that it did not score keep their own. Empty: the scores of the run itself."""


class LoraSettings(Section):
    """Training an adapter instead of the weights (LoRA, 2106.09685). Versions and checkpoints are then adapters over
    model.path, which peft merges into it. The value model is trained whole; learner.value.kind = 'head' keeps it small.
    """

    rank: Annotated[int, Field(ge=0, le=512)] = 0
    """Of the adapter's matrices; 0 trains the weights themselves. A reward carries few bits a sample, and small ranks
    hold them: 8 to 32."""
    alpha: Annotated[int, Field(ge=1)] = 32
    """The adapter counts alpha / rank times, which makes the best learning rate nearly independent of the rank; it is
    about ten times that of whole weights."""
    target_modules: tuple[str, ...] = ()
    """Names of linear layers, such as "q_proj"; empty: every one but the output head."""


class LearnerSettings(Section):
    advantage: Literal["gae", "group", "centred", "rloo", "score"] = "gae"
    """`gae` from values. From scores alone: `group`, normalised in the group (GRPO 2402.03300); `centred`, less the
    group's mean (Dr. GRPO 2503.20783); `rloo`, less the mean of the others (2402.14740); `score`, the return itself
    (REINFORCE, Williams 1992)."""
    normalise: Literal["auto", "batch", "none"] = "auto"
    """`batch`: advantages get zero mean and unit variance over the batch's tokens (REINFORCE++ 2501.03262). `auto`:
    those of GAE do, whose scale follows the values'."""
    gamma: Share = 1.0
    """The score comes at the end: a discount would only favour short answers."""
    lambda_policy: Share = 0.95
    """VAPO (2504.05118, section 5.1), as gamma and learning_rate."""
    lambda_value: Share = 1.0
    """VC-PPO (2503.01491): 1.0 for the critic."""
    lambda_alpha: Annotated[float, Field(ge=0)] = 0.0
    """Length-adaptive lambda of the policy, 1 - 1 / (alpha * length), in place of lambda_policy (VAPO 2504.05118, 0.05
    there: made for thousands of tokens, and 0 for fewer than 20); 0 turns it off."""
    group_std_floor: Annotated[float, Field(ge=0)] = 0.05
    """Added to the group's standard deviation when advantages are normalised."""
    zero_variance_std: Annotated[float, Field(ge=0)] = 0.01
    """Groups whose scores spread less are filtered: they carry no gradient."""
    filter_zero_variance: bool = True
    """Dynamic sampling (DAPO 2503.14476): the slot goes to a group that teaches something."""
    value: ValueSettings = ValueSettings()
    objective: ObjectiveSettings = ObjectiveSettings()
    kl: KLSettings = KLSettings()
    overlong: OverlongSettings = OverlongSettings()
    divergence_guard: DivergenceGuardSettings = DivergenceGuardSettings()
    learning_rate: Annotated[float, Field(gt=0)] = 1e-6
    betas: tuple[float, float] = (0.9, 0.95)
    """A second moment over 20 steps, usual for language models: with 0.999 a short run ends before it settles."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """The policy is to stay near what it was, not near 0."""
    warmup_steps: Annotated[int, Field(ge=0)] = 3
    """AdamW's second moments are noise in the first steps."""
    gradient_clip: Annotated[float, Field(gt=0)] = 1.0
    """Norm over all parameters of a model."""
    minibatches: Annotated[int, Field(ge=1)] = 2
    """Optimizer steps a batch: each is one further from the policy that sampled it."""
    clip_low: Annotated[float, Field(gt=0)] = 0.2
    """PPO (1707.06347)."""
    clip_high: Annotated[float, Field(gt=0)] = 0.28
    """Clip-higher (DAPO 2503.14476)."""
    param_dtype: Literal["float32", "bfloat16"] = "float32"
    """What the models are held in; log-probabilities, values and losses are float32 either way."""
    fp32_masters: bool = True
    """With bfloat16 weights the optimizer keeps float32 ones beside them, 4 more bytes a parameter: an update below
    1/256 of a weight is lost in bfloat16."""
    autocast: bool = True
    """bfloat16 matrix products over float32 weights."""
    device: DeviceKind = "auto"
    """Where models and optimizers are. `auto`: a CUDA device where torch sees one, else the CPU, so that one recipe
    runs on both; `cuda` refuses to start without one, which would otherwise show as a slow run."""
    processes: Annotated[int, Field(ge=1)] = 1
    """That `serve learner` starts on this host, through torchrun: one an accelerator, by number. Models and optimizers
    are spread over them. On several hosts: torchrun ... -m infra.cli.main serve learner, which then says how many."""
    threads: Annotated[int, Field(ge=0)] = 1
    """As the engine's."""
    packed_row_tokens: Annotated[int, Field(ge=64)] = 1024
    """Tokens in one packed row, which bound a step's memory; a group longer than this makes a row of its own."""
    logits_chunk_tokens: Annotated[int, Field(ge=0)] = 1024
    """Of one row, whose logits exist at a time, in the matrix products' type; 0 for all. A row with more targets pays
    with its logits' second computation, a seventh of a step with SmolLM2-135M; none of the default packed_row_tokens
    does."""
    gradient_checkpointing: bool = False
    """Keep each layer's input alone for the backward pass and compute the rest again: a third more arithmetic, for
    models or rows whose activations do not fit. The default row's are 1 GB with SmolLM2-135M, a fifth of that so."""
    max_staleness: Annotated[int, Field(ge=0)] = 4
    """Hard check: groups whose oldest token is older are dropped as stale and counted. Above what admission lets
    through (`Limits.max_age`, 2 with its defaults) and an engine that lags, so that it only catches what went wrong."""
    batch_wait_seconds: Seconds = 5.0
    """A short batch is trained on when nothing is in flight for this long, as at the end of a run."""
    checkpoint_every: Annotated[int, Field(ge=1)] = 5
    """Versions between full checkpoints; work after the last is redone from the log after a crash."""
    keep_checkpoints: Annotated[int, Field(ge=1)] = 2
    """Where the newest turns out damaged, the one before goes on."""
    keep_versions: Annotated[int, Field(ge=2)] = 3
    """An engine may be loading the one before the newest."""
    publish_to: str = ""
    """Where engines fetch versions from: a URL of fsspec, as s3://bucket/path (with the package of its protocol
    installed, here s3fs), under which each run has a folder. Empty: from the run's own folder, on a disk that learner
    and engines share."""
    loggers: tuple[LoggerKind, ...] = ()
    """Where the scalars of infra/scalars go beside Prometheus and steps.jsonl; a logger that fails stops nothing. They
    need `pip install 'rewardstream[loggers]'`. W&B reads its own environment: WANDB_MODE=offline keeps all here."""
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
                f"learner.publish_to = {self.publish_to!r} is no URL: give one such as s3://bucket/path or "
                "file:///shared/path, or leave it empty for the run's own folder"
            )
        if self.param_dtype != "float32" and self.processes > 1:
            raise ValueError(
                "learner.param_dtype = 'bfloat16' is for one process: with learner.processes above 1 the float32 "
                "weights are spread over them instead"
            )
        if self.advantage != "gae" and self.lambda_alpha:
            raise ValueError("learner.lambda_alpha is a lambda of GAE: it needs learner.advantage = 'gae'")
        return self
