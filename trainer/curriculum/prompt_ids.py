"""Ids of many prompts in little memory.

Invariant: the ids are in ascending order of their bytes, without duplicates, and take as many bytes each as the longest
of them: 64 for ids that `rewardstream prompts ingest` makes, so a million prompts take 64 MB instead of 120.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self, overload

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, Select

_ROWS_AT_A_TIME = 10_000
"""Rows of a result that are in memory as text."""


@dataclass(frozen=True, slots=True, eq=False)
class PromptIds(Sequence[str]):
    encoded: npt.NDArray[np.bytes_]

    @classmethod
    def of(cls, ids: Iterable[str]) -> Self:
        return cls(np.unique(np.array([prompt_id.encode() for prompt_id in ids], dtype=np.bytes_)))

    @classmethod
    def joined(cls, parts: Sequence["PromptIds"]) -> Self:
        return cls(np.unique(np.concatenate([part.encoded for part in parts]))) if parts else cls.of(())

    def without(self, others: "PromptIds") -> "PromptIds":
        return PromptIds(np.setdiff1d(self.encoded, others.encoded, assume_unique=True))

    def __len__(self) -> int:
        return len(self.encoded)

    def __iter__(self) -> Iterator[str]:
        return (raw.decode() for raw in self.encoded)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> "PromptIds": ...
    def __getitem__(self, index: int | slice) -> "str | PromptIds":
        if isinstance(index, slice):
            return PromptIds(self.encoded[index])
        return str(self.encoded[index].decode())


def read_ids(connection: Connection, query: Select[*tuple[Any, ...]]) -> PromptIds:
    """The ids that the query returns in its only column."""
    rows = connection.scalars(query, execution_options={"yield_per": _ROWS_AT_A_TIME})
    return PromptIds.joined([PromptIds.of(ids) for ids in rows.partitions()])


def read_ids_by_domain(connection: Connection, query: Select[*tuple[Any, ...]]) -> dict[str, PromptIds]:
    """The ids of a query with the columns (domain, id), by domain."""
    parts: dict[str, list[PromptIds]] = defaultdict(list)
    for rows in connection.execute(query, execution_options={"yield_per": _ROWS_AT_A_TIME}).partitions():
        by_domain: dict[str, list[str]] = defaultdict(list)
        for domain, prompt_id in rows:
            by_domain[domain].append(prompt_id)
        for domain, ids in by_domain.items():
            parts[domain].append(PromptIds.of(ids))
    return {domain: PromptIds.joined(found) for domain, found in parts.items()}
