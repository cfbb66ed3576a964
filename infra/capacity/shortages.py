"""What cannot fit, and the settings that mend it.

Invariant: a part that fits is not named. A mend that is named makes its part fit.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from infra.capacity.engine_memory import EngineMemory, engine_memory
from infra.capacity.hardware import GIB, Assumptions, Hardware
from infra.capacity.learner_memory import learner_memory
from infra.capacity.log_bytes import largest_record
from infra.capacity.mends import Change, changed, learner_mends
from infra.capacity.model_shape import ModelShape
from infra.capacity.rows import RowSizes, row_sizes
from infra.settings.tree import Settings

PARTITIONS_PER_WORKER = 4
"""Partitions per rollout worker: if a worker joins or leaves, the others take or give single ones of their four."""


@dataclass(frozen=True, slots=True)
class Models:
    policy: ModelShape
    value: ModelShape
    """The shape of learner.value.path; the policy's if there is no path."""


@dataclass(frozen=True, slots=True)
class Shortage:
    """Something that cannot fit."""

    what: str
    mends: tuple[str, ...]
    """Each of them makes it fit; empty if no setting does."""

    def __str__(self) -> str:
        return f"{self.what}; {', or '.join(self.mends) or 'no setting mends that'}"


def find_shortages(
    settings: Settings, models: Models, hardware: Hardware, assumptions: Assumptions
) -> Iterator[Shortage]:
    rows = row_sizes(settings, assumptions)
    engine = engine_memory(models.policy, settings, rows, hardware.gpu_memory)
    yield from _of_gpus(settings, engine, hardware)
    yield from _of_lengths(settings, models.policy, rows)
    yield from _of_engine(settings, engine, rows, hardware)
    yield from _of_learner(settings, models, hardware, assumptions)
    yield from _of_log(settings, engine, rows, hardware, assumptions)


def _of_gpus(settings: Settings, engine: EngineMemory, hardware: Hardware) -> Iterator[Shortage]:
    learners, gpus = settings.learner.processes, hardware.gpus
    if gpus == 1 and learners == engine.gpus == 1:
        return
    if learners + engine.gpus > gpus:
        most = gpus - engine.gpus
        mend = (f"set learner.processes to {most} or fewer",) if most > 0 else ()
        yield Shortage(
            f"learner.processes = {learners} and an engine on {engine.gpus} need more than {gpus} GPUs",
            (*mend, f"give --gpus {learners + engine.gpus}"),
        )


def _of_lengths(settings: Settings, policy: ModelShape, rows: RowSizes) -> Iterator[Shortage]:
    tokens, limit = rows.prompt + rows.longest_response, settings.rollout.engine.max_model_tokens
    what = f"a prompt of {rows.prompt} tokens and a response of {rows.longest_response} are longer than"
    if tokens > limit:
        yield Shortage(
            f"{what} rollout.engine.max_model_tokens = {limit}", (f"set rollout.engine.max_model_tokens to {tokens}",)
        )
    if policy.longest and tokens > policy.longest:
        mend = f"set rollout.sampling.max_new_tokens to {policy.longest - rows.prompt} or fewer"
        yield Shortage(
            f"{what} the model's {policy.longest} positions", (mend,) if policy.longest > rows.prompt else ()
        )


def _of_engine(settings: Settings, engine: EngineMemory, rows: RowSizes, hardware: Hardware) -> Iterator[Shortage]:
    tokens = rows.prompt + rows.longest_response
    if settings.rollout.engine.kind == "vllm" and engine.cache < tokens * engine.bytes_per_token:
        tensor_parallel = f"set rollout.engine.vllm_args.tensor_parallel_size to {2 * engine.gpus}"
        yield Shortage(
            f"an engine has {engine.cache / GIB:.1f} GiB for keys and values next to {engine.weights / GIB:.1f} GiB of "
            f"weights on a GPU, and a sample of {tokens} tokens takes {tokens * engine.bytes_per_token / GIB:.1f} GiB",
            (tensor_parallel,) if hardware.gpus > 2 * engine.gpus else (),
        )
    elif settings.rollout.engine.kind == "hf" and engine.total > hardware.gpu_memory:
        samples = (hardware.gpu_memory - engine.weights) * engine.samples // max(1, engine.cache)
        yield Shortage(
            f"an engine needs {engine.total / GIB:.1f} GiB, and a GPU has {hardware.gpu_memory / GIB:.1f} GiB",
            (f"set rollout.engine.max_running to {samples}",) if samples > 0 else (),
        )


def _of_learner(settings: Settings, models: Models, hardware: Hardware, assumptions: Assumptions) -> Iterator[Shortage]:
    def sizes(tried: Settings) -> tuple[int, int]:
        """Bytes that a learner process needs, and bytes that its GPU has for it."""
        rows = row_sizes(tried, assumptions)
        engine = engine_memory(models.policy, tried, rows, hardware.gpu_memory)
        room = hardware.gpu_memory - (engine.total if hardware.gpus == 1 else 0)
        return learner_memory(models.policy, models.value, tried.learner, rows).total, room

    def fits(change: Change) -> bool:
        needed, room = sizes(changed(settings, change))
        return needed <= room

    needed, room = sizes(settings)
    if needed <= room:
        return
    engine = engine_memory(models.policy, settings, row_sizes(settings, assumptions), hardware.gpu_memory)
    mends = learner_mends(settings, fits, most_processes=max(1, hardware.gpus - engine.gpus))
    left = " is left next to the engine" if hardware.gpus == 1 else " is on a GPU"
    yield Shortage(
        f"a learner process needs {needed / GIB:.1f} GiB, and {max(0, room) / GIB:.1f} GiB{left}", tuple(mends)
    )


def _of_log(
    settings: Settings, engine: EngineMemory, rows: RowSizes, hardware: Hardware, assumptions: Assumptions
) -> Iterator[Shortage]:
    largest, limit = largest_record(rows, assumptions), settings.broker.max_message_bytes
    if largest > limit:
        yield Shortage(
            f"a scored response of {rows.longest_response} tokens takes {largest} bytes in the log, which is more than "
            f"broker.max_message_bytes = {limit}",
            (f"set broker.max_message_bytes to {2 * largest}",),
        )
    engines = max(1, (hardware.gpus - settings.learner.processes) // engine.gpus)
    if engines > settings.topics.partitions:
        yield Shortage(
            f"topics.partitions = {settings.topics.partitions} feeds as many rollout workers, and there are {engines}",
            (f"set topics.partitions to {engines * PARTITIONS_PER_WORKER}",),
        )
