"""A local run's targets are in the file that Prometheus reads, as long as the run goes on."""

import json
import logging
from pathlib import Path

import pytest
import yaml

import infra
from infra.local.scrape_targets import TARGETS_FILE, remove_targets, write_targets

CONFIGURATION = Path(infra.__file__).parent / "prometheus" / "prometheus.yml"


def test_each_service_is_a_target_with_its_labels(tmp_path: Path) -> None:
    folder = tmp_path / "run-1"
    folder.mkdir()
    write_targets(folder, {"rtv": 4001, "learner": 4002})
    write_targets(folder, {"rtv": 4003, "learner": 4002})
    assert json.loads((folder / TARGETS_FILE).read_text(encoding="utf-8")) == [
        {"targets": ["127.0.0.1:4003"], "labels": {"service": "rtv", "run": "run-1"}},
        {"targets": ["127.0.0.1:4002"], "labels": {"service": "learner", "run": "run-1"}},
    ]
    remove_targets(folder)
    remove_targets(folder)
    assert list(folder.iterdir()) == []


def test_a_file_that_cannot_be_written_or_removed_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / TARGETS_FILE).mkdir()
    with caplog.at_level(logging.WARNING):
        write_targets(tmp_path, {"rtv": 4001})
        remove_targets(tmp_path)
    assert "Prometheus does not find the services" in caplog.text
    assert "remove it by hand" in caplog.text


def test_prometheus_reads_the_file_of_the_latest_run_and_keeps_its_labels() -> None:
    loaded = yaml.safe_load(CONFIGURATION.read_text(encoding="utf-8"))
    job = next(job for job in loaded["scrape_configs"] if job["job_name"] == "rewardstream")
    (files,) = (entry["files"] for entry in job["file_sd_configs"])
    assert [Path(name).parts[-3:] for name in files] == [("runs", "latest", TARGETS_FILE)]
    (service,) = job["relabel_configs"]
    assert service["regex"] == "(.+)", "an empty source would take the label away"
