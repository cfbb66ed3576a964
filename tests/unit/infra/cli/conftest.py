import sys
from collections.abc import Callable

import pytest

from infra.cli.main import main

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def rewardstream(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command in this process; (exit code, stdout, stderr)."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["rewardstream", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("KAFKA_HOME", raising=False)
    return run
