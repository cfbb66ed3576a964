"""Groups per second that each part of the loop can do, and so the one that the others wait for.

Floating-point operations are two per weight and token in a forward pass and twice as many in a backward pass (Kaplan
et al., 2001.08361, section 2.1); attention adds two products over the keys of each token. Decoding is bound by the
bytes of weights and cache that each step reads, or by the operations of its samples (Pope et al., 2211.05102, section
2).

Invariant: all figures are of the same thing, a group that is dispatched, whether it is trained on or filtered.
"""

from dataclasses import dataclass, fields

from infra.capacity.engine_memory import EngineMemory
from infra.capacity.hardware import Assumptions
from infra.capacity.log_bytes import GroupRecords
from infra.capacity.model_shape import ModelShape
from infra.capacity.rows import RowSizes
from infra.settings.tree import Settings

_PROMPTS_PER_REQUEST = 16
"""Prompts that one request to a judge holds with OpenAI's completions API (workers.judges.openai)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRates:
    """Groups per second, by part."""

    engine: float
    verifiers: float
    """0 if they score nothing, as for the judge."""
    judge: float
    learner: float
    log: float

    @property
    def bottleneck(self) -> str:
        """The part that does the fewest groups."""
        rates = {part.name: getattr(self, part.name) for part in fields(self)}
        return min((name for name, rate in rates.items() if rate > 0), key=rates.__getitem__)

    @property
    def groups(self) -> float:
        """Groups per second of the whole loop."""
        return float(getattr(self, self.bottleneck))


def group_rates(
    shape: ModelShape,
    value_shape: ModelShape,
    settings: Settings,
    rows: RowSizes,
    assumptions: Assumptions,
    *,
    engine: EngineMemory,
    records: GroupRecords,
    engines: int,
    shares_gpu: bool,
) -> GroupRates:
    """`shares_gpu`: learner and engine take turns on one GPU, each for half of the time."""
    samples, judged = settings.selector.group_size, assumptions.judged_share
    turn = 0.5 if shares_gpu else 1.0
    decoded = engines * decode_tokens_per_second(shape, rows, engine, settings, assumptions) / (samples * rows.response)
    trained = settings.selector.admission.groups_per_step / (1 - assumptions.filtered_share)
    step = step_seconds(shape, value_shape, settings, rows, assumptions)
    verdicts = settings.rtv.workers * assumptions.verdicts_per_second
    return GroupRates(
        engine=turn * decoded,
        verifiers=verdicts / (samples * (1 - judged)) if judged < 1 else 0,
        judge=judgements_per_second(settings, assumptions) / (samples * judged) if judged else 0,
        learner=turn * trained / step,
        log=assumptions.log_megabytes * 1e6 / records.total,
    )


def forward_operations(shape: ModelShape, tokens: float, keys: float) -> float:
    """Operations of a trunk over `tokens`, each of which attends to `keys` tokens in the mean."""
    return 2 * tokens * (shape.active_parameters + 2 * shape.layers * shape.query_width * keys)


def step_operations(shape: ModelShape, value_shape: ModelShape, settings: Settings, rows: RowSizes) -> float:
    """Operations of one step of the learner, with what it computes twice."""
    learner = settings.learner
    keys = rows.prompt + rows.response / 2
    trunk, value_trunk = (forward_operations(each, rows.tokens, keys) for each in (shape, value_shape))
    head = 2 * rows.targets * shape.hidden * shape.vocabulary
    head_again = head if learner.logits_chunk_tokens and _logits_again(rows, learner.logits_chunk_tokens) else 0
    trained = 4 if learner.gradient_checkpointing else 3
    operations = trained * trunk + 3 * head + head_again
    if learner.objective.proximal == "recomputed":
        share = 1.0 if learner.objective.weight == "vtrace" else (learner.minibatches - 1) / learner.minibatches
        operations += share * (trunk + head)
    if learner.value.kind == "model":
        operations += (trained + 1) * value_trunk
    if learner.kl.apply_to != "none":
        operations += trunk + head
    return operations


def step_seconds(
    shape: ModelShape, value_shape: ModelShape, settings: Settings, rows: RowSizes, assumptions: Assumptions
) -> float:
    peak = settings.learner.processes * assumptions.gpu_tflops * 1e12 * assumptions.learner_utilisation
    return step_operations(shape, value_shape, settings, rows) / peak


def decode_tokens_per_second(
    shape: ModelShape, rows: RowSizes, engine: EngineMemory, settings: Settings, assumptions: Assumptions
) -> float:
    """Tokens of one engine at its full number of samples; 0 if none fits."""
    if not engine.samples:
        return 0.0
    number = 2 if settings.model.dtype == "bfloat16" else 4
    keys = rows.prompt + rows.response / 2
    # With many samples, those of one step use all experts.
    read = engine.weights + engine.samples * keys * engine.bytes_per_token
    seconds_of_bytes = read / (assumptions.gpu_terabytes * 1e12)
    operations = forward_operations(shape, engine.samples, keys) + 2 * engine.samples * shape.hidden * shape.vocabulary
    seconds_of_operations = operations / (engine.gpus * assumptions.gpu_tflops * 1e12 * 2 / number)
    return engine.samples * assumptions.engine_utilisation / max(seconds_of_bytes, seconds_of_operations)


def judgements_per_second(settings: Settings, assumptions: Assumptions) -> float:
    genrm = settings.genrm
    prompts = _PROMPTS_PER_REQUEST if genrm.backend != "openai" or genrm.api != "chat" else 1
    connections = genrm.connections if genrm.backend == "openai" else 1
    orders = 2 if genrm.orders == "both" or (genrm.orders == "auto" and not genrm.short) else 1
    return connections * prompts / (assumptions.judge_seconds * orders * max(1, genrm.votes) * genrm.references)


def _logits_again(rows: RowSizes, chunk: int) -> bool:
    return rows.targets / rows.rows > chunk
