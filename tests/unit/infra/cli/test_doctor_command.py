"""`rewardstream doctor`, and the checks of `--dry-run`."""

import json
from pathlib import Path

import pytest
from support.tiny_model import save_tiny_model

from infra.cli.errors import ExitCode
from infra.preflight.finding import Level
from infra.preflight.machine import name_clashes


def test_doctor_prints_machine_packages_and_checks(rewardstream, tmp_path: Path) -> None:
    model = save_tiny_model(tmp_path / "model", seed=0)
    options = ("--set", f"genrm.model={model}", "--set", f"run.folder={tmp_path}")
    code, out, _ = rewardstream("doctor", "--model", str(model), *options, "--json")
    found = json.loads(out)
    assert code == ExitCode.OK
    assert {"machine", "packages", "checks"} == found.keys()
    assert found["packages"]["torch"]
    code, out, err = rewardstream("doctor", "--model", "/gone", *options)
    assert code == ExitCode.UNREACHABLE
    assert "FAIL model files: model.path = '/gone'" in out
    assert "1 of the checks failed" in err


def test_doctor_notes_another_distribution_with_a_name_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert name_clashes() == []
    for name, module in (("trainer_tools-1.0", "trainer"), ("harmless-1.0", "harmless")):
        folder = tmp_path / f"{name}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name[:-4]}\nVersion: 1.0\n")
        (folder / "top_level.txt").write_text(f"{module}\n")
    monkeypatch.syspath_prepend(tmp_path)
    [found] = name_clashes()
    assert found.level is Level.NOTE
    assert "the distribution trainer_tools has a top-level package trainer" in found.text
    assert "pip uninstall trainer_tools" in found.mend


def test_dry_run_runs_the_cheap_part(rewardstream, tmp_path: Path) -> None:
    code, out, err = rewardstream("demo", "--dry-run", "--set", "genrm.model=/gone", "--run-folder", str(tmp_path))
    assert code == ExitCode.UNREACHABLE
    assert "genrm.model = " in out
    assert "the run cannot start" in err
