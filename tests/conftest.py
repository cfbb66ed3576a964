"""A broker of each kind for the session, and for each test settings with topics of its own."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from infra.local.broker import open_broker
from infra.settings.tree import BrokerSettings, Settings
from streams.admin import create_topics, topic_specs

pytest.register_assert_rewrite("support")

from support.broker_run import run_settings  # noqa: E402 (its asserts are rewritten)
from support.metrics import MetricChange  # noqa: E402 (the same)

# How long an example takes says how busy the machine is.
hypothesis_settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("untimed")


def pytest_configure() -> None:
    """A shell starts what runs in its background with SIGINT ignored, and processes inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", params=["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
def bootstrap(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of an embedded broker, and of Apache Kafka where KAFKA_HOME is set."""
    if request.param == "kafka" and "KAFKA_HOME" not in os.environ:
        pytest.skip("KAFKA_HOME is not set")
    # Not below pytest's own folder, which is kept after the run: a broker's log is large.
    with TemporaryDirectory(prefix="rewardstream-broker-") as folder:
        broker = open_broker(BrokerSettings(kind=request.param), Path(folder))
        broker.start()
        yield broker.bootstrap
        broker.stop()


@pytest.fixture
def metric_change() -> MetricChange:
    """How far a sample of the process-wide metrics has moved since the test began."""
    return MetricChange()


@pytest.fixture
def topic_settings(bootstrap: str) -> Settings:
    """Settings of a run of its own, whose topics exist."""
    settings = run_settings(bootstrap)
    create_topics(settings.broker, bootstrap, topic_specs(settings))
    return settings


@pytest.fixture
def small_disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A file system of one megabyte, or of the parameter's size."""
    size = getattr(request, "param", "1m")
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder]
    mount = subprocess.run(command, capture_output=True, check=False)
    if mount.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {mount.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)
