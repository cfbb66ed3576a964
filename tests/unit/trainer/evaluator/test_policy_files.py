"""Which model a name means, and that its digest follows the weights and nothing else."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from support.ppo_cases import GROUP, ppo_of
from support.tiny_model import save_tiny_model

from infra.local.run_folder import write_settings
from infra.settings.learner import LoraSettings
from infra.settings.load import with_changes
from infra.settings.tree import Settings
from streams.messages import PolicyVersion, WeightsKind
from trainer.evaluator.policy_files import PolicyFiles, find_policy, settings_file_of
from trainer.seqset import SeqSet
from trainer.weights import checkpoint
from trainer.weights.history import LearnerHistory
from trainer.weights.policy_io import load_policy
from trainer.weights.publish import Publisher
from workers.engines.weights import shapes_of
from workers.models.model_files import ModelFilesError, file_sha256
from workers.models.weight_cache import WeightCache, WeightsMismatchError


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("models") / "base", seed=0)


@pytest.fixture
def runs(tmp_path: Path, base: Path) -> Path:
    """A run with the versions 3 and 4 of one lineage, and version 3 again of the next."""
    folder = tmp_path / "runs" / "r1"
    folder.mkdir(parents=True)
    write_settings(with_changes(Settings(), run={"id": "r1"}, model={"path": str(base)}), folder)
    for name in ("lineage001-v000003", "lineage001-v000004", "lineage002-v000003"):
        shutil.copytree(base, folder / "versions" / name)
    history = LearnerHistory(0, 4, 0, {}, SeqSet())
    checkpoint.save(folder / "checkpoints" / "lineage000-a1b2", ppo_of(base, GROUP), history, base, keep=1)
    return tmp_path / "runs"


def find(name: str | Path, runs: Path) -> PolicyFiles:
    return find_policy(str(name), runs, runs / "prepared")


def test_a_folder_is_a_model_of_no_run(base: Path, tmp_path: Path) -> None:
    found = find(base, tmp_path)
    assert (found.base, found.weights, found.kind) == (base.resolve(), base.resolve(), WeightsKind.FULL)
    assert found.files == {"model.safetensors": file_sha256(base / "model.safetensors")}
    assert (found.source_run, found.lineage, found.version, found.lora_rank) == (None, 0, 0, 0)
    assert settings_file_of(str(base), tmp_path) is None


@pytest.mark.parametrize(
    ("name", "lineage", "version"),
    [("r1:4", 1, 4), ("r1:3", 2, 3), ("r1", 2, 3), ("r1:latest", 2, 3)],
)
def test_a_run_s_version_is_that_of_its_newest_lineage(runs: Path, name: str, lineage: int, version: int) -> None:
    found = find(name, runs)
    assert (found.source_run, found.lineage, found.version) == ("r1", lineage, version)
    assert found.weights == (runs / "r1" / "versions" / f"lineage{lineage:03d}-v{version:06d}").resolve()
    assert settings_file_of(name, runs) == (runs / "r1" / "settings.json").resolve()


def test_folders_within_a_run_are_of_that_run_and_a_copy_elsewhere_is_not(runs: Path, tmp_path: Path) -> None:
    version = find(runs / "r1" / "versions" / "lineage001-v000004", runs)
    saved = find(runs / "r1" / "checkpoints" / "lineage000-a1b2" / "v000004", runs)
    copied = shutil.copytree(runs / "r1" / "versions" / "lineage001-v000004", tmp_path / "lineage001-v000004")
    assert (version.source_run, version.lineage, version.version) == ("r1", 1, 4)
    assert (saved.source_run, saved.lineage, saved.version) == ("r1", 0, 4)
    assert find(copied, runs).source_run is None
    assert len({version.digest, saved.digest, find(copied, runs).digest}) == 1


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("r1:7", "keeps no version 7, only 3, 4, 3"),
        ("r1:x", "keeps no version x"),
        ("r2", "neither a folder nor a run"),
        ("nowhere/model", "neither a folder nor a run"),
    ],
)
def test_a_model_that_is_not_there_is_told_with_what_is(runs: Path, name: str, words: str) -> None:
    with pytest.raises(ModelFilesError, match=words):
        find(name, runs)


def test_a_folder_without_weights_is_refused(base: Path, tmp_path: Path) -> None:
    bare = shutil.copytree(base, tmp_path / "bare")
    (bare / "model.safetensors").unlink()
    with pytest.raises(ModelFilesError, match=r"holds no model\.safetensors"):
        find(bare, tmp_path)


def test_the_digest_follows_weights_and_tokenizer(base: Path, tmp_path: Path) -> None:
    other = save_tiny_model(tmp_path / "other", seed=1)
    template = shutil.copytree(base, tmp_path / "template")
    (template / "chat_template.jinja").write_text("{{ messages }}")
    described = shutil.copytree(base, tmp_path / "described")
    (described / "config.json").write_text(json.dumps(json.loads((base / "config.json").read_text()) | {"note": 1}))
    digests = [find(folder, tmp_path).digest for folder in (base, other, template, described)]
    assert len(set(digests)) == 3
    assert digests[0] == digests[3]


def test_an_adapter_needs_its_base_and_is_another_model_than_it(base: Path, runs: Path, tmp_path: Path) -> None:
    lora = LoraSettings(rank=3, alpha=6)
    folder = runs / "r1" / "versions"
    publisher = Publisher(folder=folder, template=base, run_id="r1", dtype=torch.float32, keep=9)
    publisher.publish(load_policy(base, lora), 3, 5)
    found = find("r1:5", runs)
    assert (found.kind, found.lora_rank, found.base) == (WeightsKind.ADAPTER, 3, base.resolve())
    assert found.main_file == "adapter_model.safetensors"
    assert found.digest != find(base, runs).digest
    moved = shutil.copytree(folder / "lineage003-v000005", tmp_path / "moved")
    assert find(moved, runs).digest == found.digest
    config = moved / "adapter_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"base_model_name_or_path": "gone"}))
    with pytest.raises(ModelFilesError, match="names it as base_model_name_or_path"):
        find(moved, runs)


def test_weights_in_several_files_are_announced_by_their_index_and_checked(base: Path, tmp_path: Path) -> None:
    sharded = shutil.copytree(base, tmp_path / "sharded")
    tensors = load_file(sharded / "model.safetensors")
    (sharded / "model.safetensors").unlink()
    names = sorted(tensors)
    shards = {"model-1.safetensors": names[::2], "model-2.safetensors": names[1::2]}
    for file, own in shards.items():
        save_file({name: tensors[name] for name in own}, sharded / file)
    weight_map = {name: file for file, own in shards.items() for name in own}
    (sharded / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))

    found = find(sharded, tmp_path)
    assert found.main_file == "model.safetensors.index.json"
    announced = PolicyVersion(
        run_id="r",
        lineage=1,
        version=0,
        uri=str(found.weights),
        sha256=found.files[found.main_file],
        step=0,
        announced_at=0.0,
        files=found.files,
    )
    cache = WeightCache(tmp_path / "cache")
    assert shapes_of(cache.folder_of(announced)) == shapes_of(base)
    save_file({"other": torch.zeros(1)}, sharded / "model-2.safetensors")
    with pytest.raises(WeightsMismatchError):
        WeightCache(tmp_path / "other").folder_of(announced)
