"""The wheel has every file that code reads, and works in an environment of its own from any folder."""

import fnmatch
import importlib.metadata
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path
from shutil import copyfile

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[3]
SETUPTOOLS = 77
"""What pyproject.toml builds with; an older one in this environment is passed over."""
PACKAGES = ("streams", "workers", "trainer", "infra")
LEFT_OUT = (
    "*.md",  # those of infra are in it, for the pages that commands name
    "*.png",
    "*.svg",
    "infra/compose/Dockerfile",
    "infra/compose/wheels/.gitignore",
    "infra/docs/*.jsonl",  # what a page's tables were made from
    "infra/helm/rewardstream/*",  # Helm installs it, never pip
    "infra/requirements/*.txt",  # for a checkout
    "workers/verifiers/example/pyproject.toml",  # of a project that is copied from a checkout
)
"""Files of the packages that no code reads at run time."""


def tracked(*folders: str) -> list[str]:
    listed = subprocess.run(["git", "ls-files", *folders], cwd=ROOT, check=True, capture_output=True, text=True)
    return [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """It is built from a copy, because a build leaves files in the sources."""
    sources, built = tmp_path_factory.mktemp("sources"), tmp_path_factory.mktemp("wheel")
    for name in [*tracked(*PACKAGES), "pyproject.toml", "README.md", "LICENSE"]:
        (sources / name).parent.mkdir(parents=True, exist_ok=True)
        copyfile(ROOT / name, sources / name)
    is_new = int(importlib.metadata.version("setuptools").split(".")[0]) >= SETUPTOOLS
    pip("wheel", "--no-deps", *(["--no-build-isolation"] if is_new else []), "--wheel-dir", built, sources)
    [found] = built.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def programs(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the programs of an environment that has the wheel, and of this one everything but the project."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True)
    bin_folder = folder / "bin"
    pip("--python", bin_folder / "python", "install", "--no-deps", "--no-index", wheel)
    [site_packages] = folder.glob("lib/python*/site-packages")
    # A path in a .pth file is searched without its own .pth files, among which is this checkout.
    (site_packages / "requirements.pth").write_text(sysconfig.get_paths()["purelib"])
    return bin_folder


def pip(*words: object) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_file_that_code_reads_is_in_the_wheel(wheel: Path) -> None:
    inside = set(zipfile.ZipFile(wheel).namelist())
    missing = [name for name in tracked(*PACKAGES) if name not in inside]
    assert [name for name in missing if not any(fnmatch.fnmatch(name, pattern) for pattern in LEFT_OUT)] == []
    assert {f"{package}/py.typed" for package in PACKAGES} <= inside
    assert not [name for name in inside if name.startswith("tests/")]


def test_the_commands_work_from_any_folder(programs: Path, tmp_path: Path) -> None:
    (tmp_path / "prompts.jsonl").write_text(
        '{"domain": "mathematics", "prompt": "2+2?", "verifier": "math", "ground_truth": "4"}\n'
    )
    for words, said in (
        (("--help",), "demo"),
        (("settings",), "learner.learning_rate"),
        (("score", "--list"), "quantity"),
        (("prompts", "check", "prompts.jsonl"), "math"),
        (("demo", "--dry-run"), "learner.learning_rate"),
    ):
        output = run([programs / "rewardstream", *words], tmp_path)
        assert said in output, words
    program = (
        "import infra, trainer; from infra.db.migrate import head; head(); print(infra.__file__, trainer.__file__)"
    )
    found = run([programs / "python", "-c", program], tmp_path)
    assert found.count(str(programs.parent)) == 2


def run(command: list[object], folder: Path) -> str:
    """What it prints, without the variable that leads to this checkout."""
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [str(word) for word in command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}: {done.stdout[-1000:]} {done.stderr[-3000:]}"
    return done.stdout + done.stderr
