from pathlib import Path

import pytest
from safetensors import safe_open

from workers.models.chat import decode, encode_answer, encode_chat, end_tokens, load_tokenizer
from workers.models.model_files import DEMO_MODEL, ModelFilesError, resolve_model


@pytest.fixture(scope="module")
def demo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return resolve_model(DEMO_MODEL, tmp_path_factory.mktemp("prepared"))


def test_a_folder_stays_as_it_is(tiny_policy_folder: Path, tmp_path: Path) -> None:
    assert resolve_model(str(tiny_policy_folder), tmp_path) == tiny_policy_folder
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["missing", "."])
def test_a_path_without_a_model_says_what_to_do(name: str, tmp_path: Path) -> None:
    with pytest.raises(ModelFilesError, match=r"genrm\.model = .*config\.json") as caught:
        resolve_model(str(tmp_path / name), tmp_path, setting="genrm.model")
    assert str(tmp_path) in str(caught.value)


def test_a_cache_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelFilesError, match=r"run\.prepared"):
        resolve_model(DEMO_MODEL, tmp_path / "file" / "prepared")


@pytest.mark.slow
def test_the_demo_model_is_unpacked_once_and_whole(demo_folder: Path) -> None:
    written = (demo_folder / "model.safetensors").stat().st_mtime_ns
    assert resolve_model(DEMO_MODEL, demo_folder.parent) == demo_folder
    assert (demo_folder / "model.safetensors").stat().st_mtime_ns == written
    assert [entry.name for entry in demo_folder.parent.iterdir() if entry.is_dir()] == [demo_folder.name]
    with safe_open(demo_folder / "model.safetensors", "pt") as tensors:
        assert sum(tensors.get_tensor(name).numel() for name in tensors.keys()) == 134_515_008  # noqa: SIM118 (it is no mapping)


@pytest.mark.slow
def test_the_demo_model_keeps_its_template_and_end_token(demo_folder: Path) -> None:
    tokenizer = load_tokenizer(demo_folder)
    ids = encode_chat(tokenizer, [{"role": "user", "content": "What is 42 + 59?"}])
    assert tokenizer.decode(ids) == "<|im_start|>user\nWhat is 42 + 59?<|im_end|>\n<|im_start|>assistant\n"
    assert ids[:2] == (1, 4093)
    assert len(ids) == 19  # with the default system turn it would be 43
    assert end_tokens(demo_folder, tokenizer) == {2}
    answer = encode_answer(tokenizer, "It is 101 , yes.")
    assert answer[-1] == 2
    assert decode(tokenizer, answer) == "It is 101 , yes."
