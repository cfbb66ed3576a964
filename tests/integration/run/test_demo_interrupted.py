"""Ctrl-C while the demo prepares: an optimizer step takes no signal, and still everything ends in time."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from support.tiny_model import save_tiny_model
from support.waiting import wait_until

STOP_SECONDS = 10.0


@pytest.mark.slow
def test_interrupt_stops_the_preparation_within_ten_seconds(tmp_path: Path) -> None:
    model = save_tiny_model(tmp_path / "model", seed=0)
    output = tmp_path / "output.txt"
    command = [sys.executable, "-m", "infra.cli.main", "demo", "--no-screen", "--run-folder", str(tmp_path / "runs")]
    command += ["--set", f"model.path={model}", "--set", f"run.prepared={tmp_path / 'prepared'}"]
    with output.open("w") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
    try:
        wait_until(lambda: "sft" in output.read_text() or process.poll() is not None, "sft", details=output.read_text)
        left = psutil.Process(process.pid).children(recursive=True)
        asked = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.wait(STOP_SECONDS) == 130, output.read_text()
        _, alive = psutil.wait_procs(left, STOP_SECONDS - (time.monotonic() - asked))
        assert alive == []
        assert "Traceback" not in output.read_text()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
