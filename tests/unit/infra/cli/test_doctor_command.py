"""`rewardstream doctor`, and the checks of `--dry-run`."""

import json
from pathlib import Path

from support.tiny_model import save_tiny_model

from infra.cli.errors import ExitCode


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


def test_dry_run_runs_the_cheap_part(rewardstream, tmp_path: Path) -> None:
    code, out, err = rewardstream("demo", "--dry-run", "--set", "genrm.model=/gone", "--run-folder", str(tmp_path))
    assert code == ExitCode.UNREACHABLE
    assert "genrm.model = " in out
    assert "the run cannot start" in err
