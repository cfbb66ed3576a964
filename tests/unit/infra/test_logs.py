"""Lines of JSON in a process of their own, since logging is global to a process."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.logs import JsonFormatter
from infra.settings.logs import LogSettings

SET_UP = """\
import logging, sys, threading, warnings
from infra import logs
from infra.settings.logs import LogSettings
logs.set_up(LogSettings(format="{format}"), "rtv", "r1", wrap_stdout=True)
"""


def output_of(program: str, form: str = "json", code: int = 0) -> str:
    """What a process wrote to stdout and stderr, which are one file as in a run."""
    command = [sys.executable, "-c", SET_UP.format(format=form) + program]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=60)
    assert done.returncode == code, done.stdout
    return done.stdout


def lines_of(program: str, code: int = 0) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output_of(program, code=code).splitlines()]


def test_a_record_is_one_line_with_its_fields() -> None:
    [line] = lines_of("logging.getLogger('workers.x').info('%d of %s', 3, 'a\\nb')")
    time = datetime.fromisoformat(line.pop("time"))
    assert abs(datetime.now(UTC) - time) < timedelta(minutes=5)
    assert line == {"level": "INFO", "logger": "workers.x", "service": "rtv", "run": "r1", "message": "3 of a\nb"}


def test_an_exception_is_in_its_line() -> None:
    [line] = lines_of("try: 1 / 0\nexcept ZeroDivisionError: logging.exception('no')")
    assert (line["message"], line["level"]) == ("no", "ERROR")
    assert line["exception"].startswith("Traceback")
    assert line["exception"].endswith("ZeroDivisionError: division by zero")


@pytest.mark.parametrize("library", ["kafka.net", "faust", "mode.supervisors", "aiokafka.consumer", "py.warnings"])
def test_libraries_log_through_it_and_only_what_matters(library: str) -> None:
    program = f"log = logging.getLogger('{library}')\nlog.warning('two\\nlines')"
    [line] = lines_of(program + "\nlogging.getLogger('kafka').info('chatter')")
    assert (line["logger"], line["message"]) == (library, "two\nlines")


def test_what_is_printed_and_what_nobody_caught_is_wrapped() -> None:
    program = """\
print("one\\ntwo")
print("half", end="", file=sys.stderr)
print(" a line", file=sys.stderr)
warnings.warn("careful")
thread = threading.Thread(target=lambda: 1 / 0, name="worker")
thread.start()
thread.join()
raise ValueError("first\\nsecond")
"""
    lines = lines_of(program, code=1)
    assert [(line["logger"], line["message"]) for line in lines[:3]] == [
        ("stdout", "one"),
        ("stdout", "two"),
        ("stderr", "half a line"),
    ]
    assert "careful" in lines[3]["message"]
    assert lines[4]["message"] == "uncaught error in thread worker"
    assert lines[5]["message"] == "uncaught error"
    assert lines[5]["exception"].endswith("ValueError: first\nsecond")
    assert len(lines) == 6


def test_a_helper_of_the_process_logs_as_it_does() -> None:
    program = """\
import subprocess
child = "from infra import logs; logs.inherit(); import logging; logging.getLogger('helper').warning('here')"
subprocess.run([sys.executable, "-c", child], check=True)
"""
    [line] = lines_of(program)
    assert (line["logger"], line["service"], line["run"]) == ("helper", "rtv", "r1")


def test_text_is_the_default() -> None:
    assert LogSettings().format == "text"
    text = output_of("logging.getLogger('workers.x').info('hello')\nprint('plain')", "text")
    assert text.splitlines()[-1].endswith(" rtv INFO workers.x: hello") or "plain" in text
    assert "plain" in text.splitlines()


@given(text=st.text(), logger=st.text(min_size=1))
def test_no_text_breaks_a_line_or_the_object(text: str, logger: str) -> None:
    import logging

    record = logging.LogRecord(logger, logging.INFO, "", 0, "%s", (text,), None)
    line = JsonFormatter("router", "r\n1").format(record)
    assert len(line.splitlines()) == 1
    assert line.isascii()
    found = json.loads(line)
    assert found["message"] == text.encode("utf-8", "backslashreplace").decode()
    assert found["run"] == "r\n1"
