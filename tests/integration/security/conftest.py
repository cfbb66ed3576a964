"""An Apache Kafka that asks everybody who they are, for the module."""

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from support.secured_kafka import SecuredKafka


@pytest.fixture(scope="session")
def secured() -> Iterator[SecuredKafka]:
    home = os.environ.get("KAFKA_HOME")
    if home is None:
        pytest.skip("KAFKA_HOME is not set")
    with TemporaryDirectory(prefix="rewardstream-secured-") as folder:
        kafka = SecuredKafka(Path(home), Path(folder))
        kafka.start()
        yield kafka
        kafka.stop()
