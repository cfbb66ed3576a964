"""What a run would take, before anything starts: memory, rows, disk, log, database, rates, and what cannot fit.

Invariant: a plan is a function of its arguments. It is refused (`shortages`) exactly if a part cannot fit, and each
shortage names settings under which the same plan fits, if there are any.
"""

from dataclasses import dataclass

from infra.capacity.engine_memory import EngineMemory, engine_memory
from infra.capacity.hardware import Assumptions, Hardware
from infra.capacity.learner_memory import LearnerMemory, learner_memory
from infra.capacity.log_bytes import GroupRecords, group_records, largest_record
from infra.capacity.rows import RowSizes, row_sizes
from infra.capacity.shortages import PARTITIONS_PER_WORKER, Models, Shortage, find_shortages
from infra.capacity.stored_bytes import StoredBytes, database_bytes_per_group, selection_round_bytes, stored_bytes
from infra.capacity.throughput import GroupRates, group_rates, step_seconds
from infra.settings.tree import Settings

DAY = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Daily:
    """Figures of a day at the rate of the slowest part."""

    groups: float
    steps: float
    log: GroupRecords
    """Bytes of one replica."""
    log_kept: float
    """Bytes that all replicas keep over topics.retention_hours."""
    database: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityPlan:
    hardware: Hardware
    assumptions: Assumptions
    learners: int
    """Processes of the learner, one GPU each."""
    engines: int
    shares_gpu: bool
    """Whether learner and engine are on one GPU."""
    rows: RowSizes
    learner: LearnerMemory
    engine: EngineMemory
    stored: StoredBytes
    largest_record: int
    partitions: int
    """What the fleet needs, at least."""
    rates: GroupRates
    step_seconds: float
    daily: Daily
    shortages: tuple[Shortage, ...]


def make_plan(settings: Settings, models: Models, hardware: Hardware, assumptions: Assumptions) -> CapacityPlan:
    rows, learners = row_sizes(settings, assumptions), settings.learner.processes
    learner = learner_memory(models.policy, models.value, settings.learner, rows)
    engine = engine_memory(models.policy, settings, rows, hardware.gpu_memory)
    shares_gpu = hardware.gpus == 1
    engines = 1 if shares_gpu else max(0, hardware.gpus - learners) // engine.gpus
    records = group_records(rows, settings.selector.group_size, assumptions)
    rates = group_rates(
        models.policy,
        models.value,
        settings,
        rows,
        assumptions,
        engine=engine,
        records=records,
        engines=max(1, engines),
        shares_gpu=shares_gpu,
    )
    return CapacityPlan(
        hardware=hardware,
        assumptions=assumptions,
        learners=learners,
        engines=engines,
        shares_gpu=shares_gpu,
        rows=rows,
        learner=learner,
        engine=engine,
        stored=stored_bytes(models.policy, models.value, settings),
        largest_record=largest_record(rows, assumptions),
        partitions=max(1, engines) * PARTITIONS_PER_WORKER,
        rates=rates,
        step_seconds=step_seconds(models.policy, models.value, settings, rows, assumptions),
        daily=_daily(settings, rows, records, rates, assumptions),
        shortages=tuple(find_shortages(settings, models, hardware, assumptions)),
    )


def _daily(
    settings: Settings, rows: RowSizes, records: GroupRecords, rates: GroupRates, assumptions: Assumptions
) -> Daily:
    groups = rates.groups * DAY
    steps = groups * (1 - assumptions.filtered_share) / settings.selector.admission.groups_per_step
    topics = {name: round(groups * getattr(records, name)) for name in GroupRecords.__dataclass_fields__}
    per_day = groups * records.total
    every = settings.selector.preppo.every_versions
    rounds = steps / every if settings.selector.preppo.enabled and every else 0
    texts = 1 / settings.difficulty.later_texts_one_in
    return Daily(
        groups=groups,
        steps=steps,
        log=GroupRecords(**topics),
        log_kept=per_day * settings.topics.replication * settings.topics.retention_hours / 24,
        database=groups * database_bytes_per_group(rows, settings.selector.group_size, assumptions, texts)
        + rounds * selection_round_bytes(assumptions),
    )
