"""What a user may name as a dataset: a file, a folder, a pattern such as `data/*.jsonl`, or `hf://ORG/NAME[/SPLIT]`.

Invariant: the files of a source are read in the order of their names; a source without files is an error, never an
empty dataset.
"""

import re
from collections.abc import Iterable, Sequence
from glob import glob, has_magic
from pathlib import Path

from trainer.prompts.dataset_errors import DatasetError
from trainer.prompts.dataset_files import KINDS, kind_of

_HUB = re.compile(r"hf:/+")
"""A path keeps one slash of two."""
_REJECTED = ".rejected.jsonl"


def is_on_the_hub(source: str | Path) -> bool:
    return _HUB.match(str(source)) is not None


def dataset_files(source: str | Path, endpoint: str | None = None) -> list[Path]:
    """The files of a source. `endpoint`: address of the hub, if it is not the usual one. Raises DatasetError."""
    text = str(source)
    if is_on_the_hub(source):
        return _hub_files(_HUB.sub("", text), endpoint)
    path = Path(text)
    if path.is_dir():
        return _known(path.rglob("*"), f"the folder {path}")
    if has_magic(text) and not path.exists():
        return _known(map(Path, glob(text, recursive=True)), f"the pattern {text}")  # noqa: PTH207  it may be absolute
    return [path]


def _known(paths: Iterable[Path], what: str) -> list[Path]:
    """Raises DatasetError if there is none."""
    found = [path for path in paths if path.is_file() and _is_data(path.name)]
    if not found:
        raise DatasetError(f"{what} has no file of the kinds {', '.join(KINDS)}")
    return sorted(found)


def _is_data(name: str) -> bool:
    return not name.startswith(".") and not name.endswith(_REJECTED) and kind_of(Path(name)) in KINDS


def _hub_files(text: str, endpoint: str | None) -> list[Path]:
    """Downloads the files of one split into the hub's cache. Raises DatasetError."""
    import httpx
    from huggingface_hub import HfApi, hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    organisation, _, rest = text.partition("/")
    name, *wanted = rest.strip("/").split("/")
    if not organisation or not name:
        raise DatasetError(f"hf://{text}: give hf://ORG/NAME, hf://ORG/NAME/SPLIT or hf://ORG/NAME/CONFIG/SPLIT")
    repository = f"{organisation}/{name}"
    try:
        listed = HfApi(endpoint=endpoint).list_repo_files(repository, repo_type="dataset")
        chosen = choose_split([file for file in listed if _is_data(Path(file).name)], wanted, repository)
        return [
            Path(hf_hub_download(repository, file, repo_type="dataset", endpoint=endpoint)) for file in sorted(chosen)
        ]
    except (HfHubHTTPError, HFValidationError, httpx.HTTPError, OSError) as error:
        raise DatasetError(f"hf://{text} cannot be read from the hub: {error}") from error


def choose_split(files: Sequence[str], wanted: Sequence[str], repository: str) -> list[str]:
    """The files of the wanted configuration and split; without a wish those of `train` if there are any, else all.

    Raises DatasetError if no file is left, or if several configurations are.
    """
    parts = wanted or (["train"] if any(_is_of(file, "train") for file in files) else [])
    chosen = [file for file in files if all(_is_of(file, part) for part in parts)]
    if not chosen:
        shown = ", ".join(sorted(files)[:10]) or f"none of the kinds {', '.join(KINDS)}"
        raise DatasetError(f"hf://{repository} has no data of {'/'.join(wanted)!r}; its files are {shown}")
    folders = sorted({str(Path(file).parent) for file in chosen})
    if len(folders) > 1 and not wanted:
        raise DatasetError(
            f"hf://{repository} has several configurations: {', '.join(folders)}; name one: hf://{repository}/"
            f"{folders[0]}/train"
        )
    return chosen


def _is_of(file: str, part: str) -> bool:
    """Whether a folder of the file's path is called so, or its name begins so (`train-00000-of-00002.parquet`)."""
    path = Path(file)
    return part in path.parts[:-1] or re.match(rf"{re.escape(part)}(?![A-Za-z0-9])", path.name) is not None
