"""From the learner's weights to a folder on the engine's machine: whole and true, or not at all."""

import errno
import os
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import msgspec
import pytest
import torch
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from infra import outages
from streams.messages import PolicyVersion, WeightsKind
from trainer.step.language_models import load_causal_lm
from trainer.weights.publish import Publisher, outdated
from workers.models import weight_cache
from workers.models.model_files import WEIGHTS_FILE
from workers.models.remote_files import RemoteFolder
from workers.models.weight_cache import WeightCache, WeightsMismatchError


@pytest.fixture(params=["memory", "file"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"memory://{tmp_path.name}/run" if request.param == "memory" else f"file://{tmp_path}/shared/run"


@pytest.fixture(scope="module")
def policy(template: Path) -> Any:
    return load_causal_lm(template)


def publisher(tmp_path: Path, template: Path, url: str | None, keep: int = 2) -> Publisher:
    return Publisher(
        folder=tmp_path / "versions",
        template=template,
        run_id="run",
        dtype=torch.bfloat16,
        keep=keep,
        remote=RemoteFolder(url) if url else None,
    )


def test_what_is_published_to_a_url_is_what_an_engine_loads(tmp_path, template, policy, url):
    announced = publisher(tmp_path, template, url).publish(policy, 1, 2)
    assert announced.uri == f"{url}/lineage001-v000002"
    folder = WeightCache(tmp_path / "fetched").folder_of(announced)
    assert {path.name for path in folder.iterdir()} == set(announced.files) > {WEIGHTS_FILE, "config.json"}
    found = load_file(folder / WEIGHTS_FILE)
    for name, tensor in policy.state_dict().items():
        if name in found:
            assert torch.equal(found[name], tensor.to(torch.bfloat16))
    assert announced.kind is WeightsKind.FULL


def test_old_versions_go_here_and_there_and_other_runs_stay(tmp_path, template, policy, url):
    maker, cache = publisher(tmp_path, template, url), WeightCache(tmp_path / "fetched", keep=2)
    files, root = fsspec.core.url_to_fs(url)
    files.makedirs(f"{root}/notes", exist_ok=True)
    files.pipe_file(f"{root}/notes/file", b"not a version")
    announced = [maker.publish(policy, 0, version) for version in range(3)]
    announced.append(maker.publish(policy, 1, 1))  # a resumed learner's
    assert RemoteFolder(url).folders() == ["lineage000-v000002", "lineage001-v000001", "notes"]
    for version in announced[2:]:
        cache.folder_of(version)
    later = cache.folder_of(maker.publish(policy, 1, 2))
    names = sorted(path.name for path in (tmp_path / "fetched").iterdir())
    assert len(names) == 2
    assert names[0].startswith("lineage001-v000001-")
    assert names[1] == later.name
    with pytest.raises(OSError, match="lineage000-v000000"):
        cache.folder_of(announced[0])


@given(st.lists(st.integers(1, 3), min_size=1, max_size=40), st.integers(1, 4), st.integers(0, 7))
def test_the_newest_versions_are_kept_and_those_that_an_evaluation_may_still_read(steps, keep, every) -> None:
    """A resumed learner begins a lineage some versions back."""
    names, lineage, version, newest_evaluated = [], 0, 0, []
    for step in steps:
        lineage, version = (lineage + 1, max(0, version - 2)) if step == 3 and lineage < 2 else (lineage, version + 1)
        names.append(f"lineage{lineage:03d}-v{version:06d}")
        if every and version and version % every == 0:
            newest_evaluated.append(names[-1])
        names = [name for name in names if name not in outdated(names, keep, every)]
        assert set(names[-keep:]) <= set(names)
        assert len(names) <= keep + 2 * (lineage + 1)
        if newest_evaluated and int(newest_evaluated[-1][-6:]) > version - every:
            assert newest_evaluated[-1] in names


@pytest.mark.parametrize("name", [WEIGHTS_FILE, "config.json"])
def test_a_file_that_is_not_the_announced_one_is_refused_and_leaves_nothing(tmp_path, template, policy, url, name):
    announced = publisher(tmp_path, template, url).publish(policy, 0, 1)
    files, path = fsspec.core.url_to_fs(f"{announced.uri}/{name}")
    content = bytearray(files.cat_file(path))
    content[-1] ^= 1
    files.pipe_file(path, bytes(content))
    with pytest.raises(WeightsMismatchError, match=name):
        WeightCache(tmp_path / "fetched").folder_of(announced)
    assert list((tmp_path / "fetched").iterdir()) == []


def test_a_damaged_copy_is_fetched_again(tmp_path, template, policy, url):
    announced = publisher(tmp_path, template, url).publish(policy, 0, 1)
    cache = WeightCache(tmp_path / "fetched")
    copy = cache.folder_of(announced) / WEIGHTS_FILE
    whole = copy.read_bytes()
    copy.write_bytes(whole[:-1])
    assert (cache.folder_of(announced) / WEIGHTS_FILE).read_bytes() == whole


class TearingFileSystem(MemoryFileSystem):
    """Stores half of what it is given, and says nothing."""

    protocol = "tearing"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]

    def put_file(self, lpath: str, rpath: str, **options: Any) -> None:
        content = Path(lpath).read_bytes()
        self.pipe_file(rpath, content[: len(content) // 2] if rpath.endswith(WEIGHTS_FILE) else content)


def test_a_torn_upload_is_never_announced(tmp_path, template, policy):
    fsspec.register_implementation("tearing", TearingFileSystem, clobber=True)
    with pytest.raises(OSError, match=r"cannot write model.safetensors to tearing://.*bytes of .* arrived"):
        publisher(tmp_path, template, "tearing://run").publish(policy, 0, 1)


def test_an_upload_that_fails_once_is_tried_again(tmp_path, template, policy, monkeypatch, caplog):
    monkeypatch.setattr(outages, "_QUIET_SECONDS", 0.0)
    put, failed = MemoryFileSystem.put_file, []

    def slow_down(self: MemoryFileSystem, lpath: str, rpath: str, **options: Any) -> None:
        if rpath.endswith(WEIGHTS_FILE) and not failed:
            failed.append(rpath)
            raise ConnectionError("slow down")
        put(self, lpath, rpath, **options)

    monkeypatch.setattr(MemoryFileSystem, "put_file", slow_down)
    uploading = replace(publisher(tmp_path, template, f"memory://{tmp_path.name}"), outage_seconds=600.0)
    announced = uploading.publish(policy, 0, 1)
    assert "slow down" in caplog.text
    WeightCache(tmp_path / "fetched").folder_of(announced)


def test_engines_of_one_machine_fetch_and_read_a_version_once(tmp_path, template, policy, monkeypatch):
    announced = publisher(tmp_path, template, f"file://{tmp_path}/shared").publish(policy, 0, 1)
    found: list[Path] = []
    read: list[Path] = []
    digest = weight_cache.file_sha256
    monkeypatch.setattr(weight_cache, "file_sha256", lambda path: read.append(path) or digest(path))
    engines = [
        threading.Thread(target=lambda: found.append(WeightCache(tmp_path / "fetched").folder_of(announced)))
        for _ in range(4)
    ]
    for engine in engines:
        engine.start()
    for engine in engines:
        engine.join()
    assert len(found) == 4
    assert len(set(found)) == 1
    assert [path.name for path in (tmp_path / "fetched").iterdir()] == [found[0].name]
    assert sorted(path.name for path in read) == sorted(announced.files)


def test_a_local_version_outlives_its_removal_by_the_learner(tmp_path, template, policy):
    maker = publisher(tmp_path, template, None)
    announced = maker.publish(policy, 0, 1)
    cache = WeightCache(tmp_path / "fetched")
    folder = cache.folder_of(announced)
    whole = (folder / WEIGHTS_FILE).read_bytes()
    assert (folder / WEIGHTS_FILE).samefile(Path(announced.uri) / WEIGHTS_FILE), "no byte is copied"
    for version in range(2, 5):
        maker.publish(policy, 0, version)
    assert not Path(announced.uri).exists()
    assert (folder / WEIGHTS_FILE).read_bytes() == whole
    before_the_field = msgspec.structs.replace(announced, files={})
    assert cache.folder_of(before_the_field) == folder
    with pytest.raises(OSError, match="lineage000-v000001"):
        cache.folder_of(msgspec.structs.replace(announced, sha256="0" * 64))


def test_a_local_folder_that_is_another_one_is_refused(tmp_path, template, policy):
    announced = publisher(tmp_path, template, None).publish(policy, 0, 1)
    with pytest.raises(WeightsMismatchError, match="announced with 000000000000"):
        WeightCache(tmp_path / "fetched").folder_of(msgspec.structs.replace(announced, sha256="0" * 64))


def test_without_hard_links_a_local_folder_is_checked_where_it_lies(tmp_path, template, policy, monkeypatch):
    def no_links(*_: Any) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", no_links)
    announced = publisher(tmp_path, template, None).publish(policy, 0, 1)
    cache = WeightCache(tmp_path / "fetched")
    assert cache.folder_of(announced) == Path(announced.uri)
    with pytest.raises(WeightsMismatchError, match="announced with 000000000000"):
        cache.folder_of(msgspec.structs.replace(announced, sha256="0" * 64))


def test_what_an_engine_loads_stays_while_another_of_its_machine_goes_on(tmp_path, template, policy, url):
    maker = publisher(tmp_path, template, url)
    slow, fast = WeightCache(tmp_path / "fetched"), WeightCache(tmp_path / "fetched")
    folder = slow.folder_of(maker.publish(policy, 0, 0))
    for version in range(1, 6):
        fast.folder_of(maker.publish(policy, 0, version))
    assert load_file(folder / WEIGHTS_FILE)
    slow.folder_of(maker.publish(policy, 0, 6))
    slow.folder_of(maker.publish(policy, 0, 7))
    assert not folder.exists()


@pytest.mark.parametrize("name", ["../outside", "a/b", "..", ""])
def test_an_announced_file_stays_in_its_folder(tmp_path, template, policy, name):
    announced: PolicyVersion = publisher(tmp_path, template, f"memory://{tmp_path.name}").publish(policy, 0, 1)
    with pytest.raises(ValueError, match="not a file name"):
        WeightCache(tmp_path / "fetched").folder_of(msgspec.structs.replace(announced, files={name: "0"}))


def test_a_protocol_that_is_not_there_says_what_to_install():
    with pytest.raises(OSError, match=r"cannot open s3://bucket/run: ImportError: Install s3fs"):
        RemoteFolder("s3://bucket/run")
    with pytest.raises(OSError, match="nonsense://bucket"):
        RemoteFolder("nonsense://bucket")
