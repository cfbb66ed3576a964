"""Publishes weights: writes a folder, copies it to a URL if one is set, and makes the announcement.

Invariant: an announced folder is complete and its checksums are true. Folders are kept until `keep` newer ones exist,
and those of versions that are evaluated until two newer ones of that kind exist. A folder that was not written
completely, on disk or at the URL, is never announced. An absent store is waited out; after that, as for a local disk at
once, the error ends the learner, which writes the folder again after its restart.

`gather_weights` reads the policy. `write` touches files only, so it may run concurrently with the next step.
"""

import logging
import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from infra.files.folders import UNFINISHED, atomic_folder, copy_description
from infra.outages import wait_out
from infra.settings.tree import Settings
from streams.messages import PolicyVersion, WeightsKind
from trainer.distributed.gather import full_tensor
from trainer.weights import lora
from trainer.weights.model_writer import write_model_files, write_tensors
from trainer.weights.policy_io import own_tensors
from trainer.weights.weight_files import as_in_files, untrained
from workers.models.model_files import ADAPTER_FILE, file_sha256
from workers.models.remote_files import RemoteFolder

log = logging.getLogger(__name__)

_PATTERN = "lineage*-v*"
_EVALUATED = 2


@dataclass(frozen=True, slots=True)
class PublishedWeights:
    """A copy of the tensors to publish, on the CPU and in the published type."""

    kind: WeightsKind
    tensors: dict[str, torch.Tensor]
    adapter: Any | None = None
    """peft's configuration if only an adapter is published."""


@dataclass(frozen=True, slots=True)
class Publisher:
    folder: Path
    """The folder of the versions, each of which is a folder in it."""
    template: Path
    """The run's initial policy; configuration and tokenizer are copied from it."""
    run_id: str
    dtype: torch.dtype
    keep: int
    remote: RemoteFolder | None = None
    """The URL from which engines fetch versions; None if they read `folder` itself."""
    outage_seconds: float = 0.0
    """Longest absence of `remote` that an upload waits out."""
    evaluated_every: int = 0
    """Versions between two that are evaluated, whose weights engines load later, too; 0 if none is."""

    def publish(self, policy: Any, lineage: int, version: int) -> PolicyVersion:
        """Gathers and writes the weights of a single process; returns the announcement to make. Raises OSError."""
        return self.write(self.gather_weights(policy), lineage, version)

    def gather_weights(self, policy: Any) -> PublishedWeights:
        """A copy of the weights on the CPU, gathered tensor by tensor. If the policy is sharded, the other processes
        must call `help_to_gather`.
        """
        tensors = {name: self._copy_of(tensor) for name, tensor in own_tensors(policy).items()}
        if lora.is_adapted(policy):
            return PublishedWeights(WeightsKind.ADAPTER, tensors, lora.adapter_config(policy))
        return PublishedWeights(WeightsKind.FULL, as_in_files(policy, tensors, self.template))

    def help_to_gather(self, policy: Any) -> None:
        """Joins the collectives of `gather_weights` in a process that keeps nothing."""
        for tensor in own_tensors(policy).values():
            full_tensor(tensor.detach().to(self.dtype))

    def _copy_of(self, tensor: torch.Tensor) -> torch.Tensor:
        converted = tensor.detach().to(self.dtype)
        whole = full_tensor(converted)
        is_fresh = whole is not converted or converted.dtype != tensor.dtype
        return whole.to("cpu", copy=not is_fresh)

    def write(self, weights: PublishedWeights, lineage: int, version: int) -> PolicyVersion:
        """Writes to disk and to the URL; returns the announcement to make. Raises OSError."""
        target = self.folder / f"lineage{lineage:03d}-v{version:06d}"
        with atomic_folder(target) as temporary:
            if weights.adapter is None:
                copy_description(self.template, temporary)
                tensors = weights.tensors | untrained(self.template, weights.tensors)
                main = write_model_files(tensors.items(), temporary)
            else:
                main = ADAPTER_FILE
                weights.adapter.save_pretrained(temporary)
                write_tensors(weights.tensors, temporary / main)
            files = {path.name: file_sha256(path) for path in sorted(temporary.iterdir())}
        for name in self._outdated(path.name for path in self.folder.glob(_PATTERN)):
            shutil.rmtree(self.folder / name)
        return PolicyVersion(
            run_id=self.run_id,
            lineage=lineage,
            version=version,
            uri=str(target.resolve()) if self.remote is None else self._upload(self.remote, target),
            sha256=files[main],
            step=version,
            announced_at=time.time(),
            kind=weights.kind,
            files=files,
        )

    def _outdated(self, names: Iterable[str]) -> list[str]:
        return outdated(names, self.keep, self.evaluated_every)

    def remove_unfinished(self, lineage: int) -> None:
        """Removes what learners of lineages before `lineage` left unfinished. Raises OSError."""
        for path in self.folder.glob(f"{UNFINISHED}lineage*"):
            if int(path.name.removeprefix(f"{UNFINISHED}lineage").partition("-")[0]) < lineage:
                shutil.rmtree(path, ignore_errors=True)

    def _upload(self, remote: RemoteFolder, source: Path) -> str:
        """Copies the folder to the remote, and removes old versions there. Returns its URL. Raises OSError."""
        place = remote.child(source.name)
        for path in sorted(source.iterdir()):
            wait_out("store", partial(place.put, path), OSError, self.outage_seconds)
        for name in self._outdated(name for name in remote.folders() if name.startswith("lineage")):
            try:
                remote.child(name).remove()
            except OSError as error:  # the new version is there, so the run goes on; the next version removes it
                log.warning("an old version could not be removed: %s", error)
        return place.url


def publisher_of(settings: Settings, template: Path) -> Publisher:
    """The publisher that the settings describe. Raises OSError if learner.publish_to cannot be opened."""
    run, place = settings.run, settings.learner.publish_to.rstrip("/")
    return Publisher(
        folder=run.folder / run.id / "versions",
        template=template,
        run_id=run.id,
        dtype=getattr(torch, settings.model.dtype),
        keep=settings.learner.keep_versions,
        remote=RemoteFolder(f"{place}/{run.id}") if place else None,
        outage_seconds=settings.learner.publish_outage_seconds,
        evaluated_every=settings.selector.eval_every_versions,
    )


def outdated(names: Iterable[str], keep: int, evaluated_every: int) -> list[str]:
    """The versions, by folder name, that are not kept: neither among the newest `keep`, nor of the newest two numbers
    that are evaluated. An evaluation may still run when the next one is due.
    """
    ordered = sorted(names, key=_numbers)
    kept = set(ordered[-keep:])
    if evaluated_every:
        numbers = sorted(
            {version for _, version in map(_numbers, ordered) if version and version % evaluated_every == 0}
        )
        kept |= {name for name in ordered if _numbers(name)[1] in numbers[-_EVALUATED:]}
    return [name for name in ordered if name not in kept]


def _numbers(name: str) -> tuple[int, int]:
    """Lineage and version of a folder `lineageLLL-vVVVVVV`."""
    lineage, _, version = name.removeprefix("lineage").partition("-v")
    return int(lineage), int(version)
