"""Verifiers of other distributions: found by entry point, refused where the name is taken or the shape is wrong."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from workers.verifiers import registry

Install = Callable[[str], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    info = tmp_path / "plugin-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plugin\nVersion: 1\n")
    monkeypatch.syspath_prepend(tmp_path)

    def write(point: str) -> None:
        (info / "entry_points.txt").write_text(f"[{registry.GROUP}]\n{point}\n")
        registry._points.cache_clear()

    yield write
    registry._points.cache_clear()


def test_a_plugin_is_found_by_its_name(install: Install) -> None:
    install("mine = workers.verifiers.text.exact:ExactVerifier")
    assert registry.load_verifier("mine").name == "exact"
    assert "mine" in registry.verifier_names()


def test_a_name_has_one_verifier(install: Install) -> None:
    install("math = workers.verifiers.text.exact:ExactVerifier")
    with pytest.raises(TypeError, match="two verifiers are called 'math'"):
        registry.verifier_names()


def test_a_class_of_another_shape_is_refused(install: Install) -> None:
    install("shapeless = collections:Counter")
    with pytest.raises(
        TypeError, match=r"'shapeless' \(collections:Counter\) lacks name, version, policy, options, verify"
    ):
        registry.load_verifier("shapeless")


def test_an_unknown_name_lists_those_there_are() -> None:
    with pytest.raises(registry.UnknownVerifierError, match=r"'no'; installed are: .*exact, .*math, "):
        registry.load_verifier("no")
