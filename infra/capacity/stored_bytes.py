"""Bytes on disk: a published version, a checkpoint, and rows of the database.

Invariant: a figure is within 15 % of what the learner writes and Postgres keeps; tests write a tiny model and rows.
"""

from dataclasses import dataclass

from infra.capacity.hardware import Assumptions
from infra.capacity.learner_memory import trained_parameters, value_parameters
from infra.capacity.model_shape import ModelShape
from infra.capacity.rows import RowSizes
from infra.settings.tree import Settings

_SCORE_ROW = 420
"""A row of `scores` and its entries in the indexes, without the text: the ids take most of it."""
_GROUP_ROW = 350
"""A row of `groups` once it is closed, and its entries in four indexes; its ticket is in the log alone."""
_SELECTION_ROW = 115
"""A row of `selections`; no index has an entry per row."""
_COMPRESSED = 0.53
"""Share that is left of English that Postgres compresses (pglz)."""
_COMPRESSES_FROM = 2000
"""Characters; Postgres compresses from 2 kB per row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredBytes:
    version: int
    """One published version."""
    versions: int
    """All that learner.keep_versions keeps, and the one that is being written."""
    checkpoint: int
    checkpoints: int
    """All that learner.keep_checkpoints keeps, and the one that is being written."""

    @property
    def total(self) -> int:
        return self.versions + self.checkpoints


def stored_bytes(shape: ModelShape, value_shape: ModelShape, settings: Settings) -> StoredBytes:
    """A version has weights of model.dtype, or an adapter of it. A checkpoint has weights of the learner's type, two
    moments, and float32 copies of bfloat16 weights.
    """
    learner = settings.learner
    trained, value = trained_parameters(shape, learner), value_parameters(shape, value_shape, learner)
    version = trained * (2 if settings.model.dtype == "bfloat16" else 4)
    weight = 4 if learner.param_dtype == "float32" else 2
    has_masters = weight == 2 and learner.fp32_masters
    moment = 4 if weight == 4 or has_masters else 2
    checkpoint = (trained + value) * (weight + 2 * moment + 4 * has_masters)
    return StoredBytes(
        version=version,
        versions=version * (learner.keep_versions + 1),
        checkpoint=checkpoint,
        checkpoints=checkpoint * (learner.keep_checkpoints + 1),
    )


def database_bytes_per_group(rows: RowSizes, samples: int, assumptions: Assumptions, texts: float) -> int:
    """Bytes that a closed group adds: its row, and a row of `scores` per response. `texts`: fraction of the groups
    whose responses are kept.
    """
    text = _compressed(rows.response * assumptions.token_characters)
    return round(_GROUP_ROW + samples * (_SCORE_ROW + texts * text))


def selection_round_bytes(assumptions: Assumptions) -> int:
    """Bytes that a selection round adds: a row per prompt."""
    return round(_SELECTION_ROW * assumptions.prompts)


def _compressed(characters: float) -> float:
    return characters * (_COMPRESSED if characters > _COMPRESSES_FROM else 1)
