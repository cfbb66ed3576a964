"""Named tensors in a folder, through torch's distributed checkpoint (DCP): each process writes and reads its own parts.

Invariants:
- The folder does not depend on the number of processes that wrote it: any number can read it.
- Nothing is copied: `start_writing` reads the tensors as they are while it writes, so they must not change before its
  future is done.
- A part is the bytes of its tensors, one after the other; DCP's own files have an archive per tensor, which takes twice
  the time for a model of many tensors.
- Reading runs no code of the folder: its index is unpickled from a fixed set of classes only.
"""

import io
import os
import pickle
import warnings
from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.checkpoint import metadata
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.filesystem import FileSystemReader, FileSystemWriter, _StorageInfo
from torch.distributed.checkpoint.metadata import Metadata, MetadataIndex, TensorStorageMetadata
from torch.distributed.checkpoint.planner import LoadPlan, LoadPlanner, ReadItem, SavePlan, SavePlanner
from torch.distributed.checkpoint.staging import AsyncStager
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import async_save
from torch.distributed.checkpoint.storage import WriteResult

T = TypeVar("T")

INDEX_FILE = ".metadata"
_INDEX_CLASSES: dict[tuple[str, str], Any] = {
    (kind.__module__, kind.__qualname__): kind
    for kind in (
        _StorageInfo,
        metadata.BytesStorageMetadata,
        metadata.ChunkStorageMetadata,
        metadata.Metadata,
        metadata.MetadataIndex,
        metadata.StorageMeta,
        metadata.TensorProperties,
        metadata.TensorStorageMetadata,
        metadata._MEM_FORMAT_ENCODING,  # noqa: SLF001 (part of TensorProperties in the index)
        torch.Size,
    )
} | {
    ("torch.serialization", "_get_layout"): torch.serialization._get_layout,  # noqa: SLF001 (as above)
    ("pathlib", "PosixPath"): Path,
}
"""Everything that an index names, except for torch's data types."""


class TensorFilesError(ValueError):
    """The folder cannot be read, or does not hold these tensors; the text says what is wrong."""


def start_writing(tensors: Mapping[str, Tensor], folder: Path, group: dist.ProcessGroup | None) -> Future[None]:
    """Begins to write the tensors in another thread, and returns at once. Every process of `group`, which nothing else
    uses meanwhile, must call it; None is a single process.

    The future is done when all processes have written and synced their parts. It raises OSError, or RuntimeError with
    the name of the process that failed.
    """
    _silence()
    written: Future[None] = Future()
    started: Any = async_save(
        dict(tensors),
        storage_writer=PartWriter(folder),
        async_stager=_NoCopy(),
        process_group=group,
        no_dist=group is None,
    )
    started.add_done_callback(lambda done: _pass_on(done.exception(), written))
    return written


def read_into(tensors: Mapping[str, Tensor], folder: Path, group: dist.ProcessGroup | None) -> None:
    """Fills the tensors, each process its own parts; every process of `group` must call it with the same names.

    Raises TensorFilesError.
    """
    _silence()
    found = saved_tensors(folder)
    for name, tensor in tensors.items():
        if name not in found or found[name].shape != tensor.shape:
            there = tuple(found[name].shape) if name in found else "not there"
            raise TensorFilesError(f"{name} is {tuple(tensor.shape)} here, and {there} in the files")
    try:
        load(dict(tensors), storage_reader=_PartReader(folder), process_group=group, no_dist=group is None)
    except CheckpointException as error:
        raise TensorFilesError(_first_failure(error)) from error


def saved_tensors(folder: Path) -> dict[str, Tensor]:
    """What tensors the folder has, by name: their whole shapes and their types, on the meta device. Raises
    TensorFilesError.
    """
    try:
        index = _PartReader(folder).read_metadata()
    except (OSError, pickle.UnpicklingError, EOFError, AttributeError, ValueError) as error:
        raise TensorFilesError(f"{INDEX_FILE}: {error}") from error
    return {
        name: torch.empty(entry.size, dtype=entry.properties.dtype, device="meta")
        for name, entry in index.state_dict_metadata.items()
        if isinstance(entry, TensorStorageMetadata)
    }


class _NoCopy(AsyncStager):
    """Hands over the tensors themselves."""

    _synchronize_after_execute = False

    def stage(self, state_dict: dict[str, Any]) -> dict[str, Any]:
        return state_dict

    def synchronize_staging(self) -> None:
        """There is nothing to wait for."""

    def close(self) -> None:
        """There is nothing to free."""


class PartWriter(FileSystemWriter):
    """Writes a process's tensors as bytes."""

    def write_data(self, plan: SavePlan, planner: SavePlanner) -> torch.futures.Future[list[WriteResult]]:
        """Raises OSError."""
        name = f"part-{plan.storage_data.prefix.strip('_')}.bin"
        results: list[WriteResult] = []
        with (Path(self.path) / name).open("wb") as file:
            for item in plan.items:
                start = file.tell()
                size = file.write(_bytes_of(cast("Tensor", planner.resolve_data(item)).detach().cpu().contiguous()))
                results.append(WriteResult(item.index, size, _StorageInfo(name, start, size)))
            file.flush()
            os.fsync(file.fileno())
        return _done(results)


class _PartReader(FileSystemReader):
    """Reads what the processes wrote: of each tensor only the rows that are asked for."""

    def read_data(self, plan: LoadPlan, planner: LoadPlanner) -> torch.futures.Future[None]:
        """Raises OSError."""
        index = self.read_metadata().state_dict_metadata
        by_file: dict[str, list[ReadItem]] = {}
        for item in plan.items:
            by_file.setdefault(self.storage_data[item.storage_index].relative_path, []).append(item)
        for name, items in by_file.items():
            with (Path(self.path) / name).open("rb") as file:
                for item in items:
                    target = planner.resolve_tensor(item).detach()
                    rows = _read_rows(file, item, index[item.storage_index.fqn], self.storage_data)
                    target.copy_(rows)
                    planner.commit_tensor(item, target)
        return _done(None)

    def read_metadata(self, *_args: Any, **_options: Any) -> Metadata:
        """Raises OSError, and UnpicklingError if the index names a class that an index does not have."""
        index = _IndexUnpickler(io.BytesIO((Path(self.path) / INDEX_FILE).read_bytes())).load()
        if not isinstance(index, Metadata):
            raise pickle.UnpicklingError("not an index")
        return index


class _IndexUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        found = _INDEX_CLASSES.get((module, name))
        if found is None and module == "torch" and isinstance(getattr(torch, name, None), torch.dtype):
            found = getattr(torch, name)
        if found is None:
            raise pickle.UnpicklingError(f"{module}.{name} is not part of an index")
        return found


def _read_rows(file: BinaryIO, item: ReadItem, entry: Any, places: Mapping[MetadataIndex, _StorageInfo]) -> Tensor:
    """The part of a chunk that `item` wants: its rows are read, and cut in the other dimensions. Raises OSError."""
    at = item.storage_index.offset
    [sizes] = [chunk.sizes for chunk in entry.chunks if at is None or chunk.offsets == at]
    rows = [item.lengths[0], *sizes[1:]] if sizes else []
    buffer = torch.empty(rows, dtype=entry.properties.dtype)
    first = item.storage_offsets[0] * (buffer[:1].nbytes if len(buffer) else 0) if sizes else 0
    file.seek(places[item.storage_index].offset + first)
    found = file.readinto(_bytes_of(buffer))  # type: ignore[attr-defined]  # a buffered reader has it
    if found != buffer.nbytes:
        raise OSError(f"{file.name} ends within {item.storage_index.fqn}")
    for dimension in range(1, buffer.dim()):
        buffer = buffer.narrow(dimension, item.storage_offsets[dimension], item.lengths[dimension])
    return buffer


def _bytes_of(tensor: Tensor) -> memoryview:
    """The memory of a contiguous tensor on the CPU."""
    array: Any = tensor.view(-1).view(torch.uint8).numpy()
    return memoryview(array)


def _done(result: T) -> torch.futures.Future[T]:
    future: torch.futures.Future[T] = torch.futures.Future()
    future.set_result(result)
    return future


def _pass_on(error: BaseException | None, written: Future[None]) -> None:
    if error is None:
        written.set_result(None)
    elif isinstance(error, CheckpointException):
        failure = next(iter(error.failures.values()))[0]
        written.set_exception(failure if isinstance(failure, OSError) else RuntimeError(_first_failure(error)))
    else:
        written.set_exception(error)


def _first_failure(error: CheckpointException) -> str:
    rank, (failure, _) = next(iter(error.failures.items()))
    return f"process {rank}: {type(failure).__name__}: {failure}"


def _silence() -> None:
    """A single process has no process group, which is not worth a warning each time."""
    warnings.filterwarnings("ignore", message="torch.distributed is disabled, unavailable or uninitialized")
