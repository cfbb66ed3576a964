"""Each service does its work with the rights of the table, and no client does what is outside of it."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine
from support.broker_run import RunOnBroker, run_settings
from support.messages import announced
from support.secured_kafka import SecuredKafka, password_of
from support.tiny_model import save_tiny_model
from support.waiting import wait_until

from infra.cli.errors import ExitCode, explain
from infra.local.service_commands import service_specs
from infra.services import Service
from infra.settings.load import with_changes
from infra.settings.tree import Settings
from streams.admin import create_topics, topic_specs
from streams.clients import GroupMember, LogReader, confirm, make_producer, send
from streams.records import Output
from streams.rights import CLI, RIGHTS, rights_of
from streams.topics import Topic, topic_name
from trainer.audit.audit import audit_run
from trainer.prompts.dataset import Defaults, parse_row
from trainer.prompts.ingest import ingest_rows

pytestmark = pytest.mark.kafka


def settings_as(kafka: SecuredKafka, service: str, **sections: Any) -> Settings:
    broker = {
        "kind": "cluster",
        "bootstrap_servers": kafka.sasl,
        "session_timeout_seconds": 6,
        "security": security_of(kafka, service),
    }
    return run_settings(kafka.sasl, broker=broker, **sections)


def security_of(kafka: SecuredKafka, service: str) -> dict[str, str]:
    return {
        "protocol": "SASL_SSL",
        "ca_file": str(kafka.certificates.authority),
        "mechanism": "PLAIN",
        "username": service,
        "password": password_of(service),
    }


def as_user(settings: Settings, kafka: SecuredKafka, service: str) -> Settings:
    return with_changes(settings, broker={"security": security_of(kafka, service)})


@pytest.fixture(scope="module")
def run(secured: SecuredKafka) -> Settings:
    """A run's topics, made by the command line's user, and the rights of all services."""
    settings = settings_as(secured, CLI)
    secured.allow(right for service in RIGHTS for right in rights_of(service, settings.topics.prefix))
    create_topics(settings.broker, secured.sasl, topic_specs(settings))
    return settings


def write(settings: Settings, name: str) -> None:
    producer = make_producer(settings.broker, settings.broker.bootstrap_servers)
    try:
        confirm(producer, [send(producer, Output(name, b"k", b"v", ()))], 30)
    finally:
        producer.close(timeout=1)


def read(settings: Settings, name: str) -> None:
    with LogReader(settings.broker, settings.broker.bootstrap_servers, [name]) as reader:
        list(reader.read_to_end())


@pytest.mark.parametrize("service", [service for service in RIGHTS if service != CLI])
def test_a_service_writes_and_reads_its_topics_and_is_refused_at_the_others(
    secured: SecuredKafka, run: Settings, service: str
) -> None:
    own, rights = as_user(run, secured, service), RIGHTS[service]
    write(as_user(run, secured, CLI), topic_name(run.topics.prefix, Topic.DEAD_LETTERS))
    for topic in rights.writes:
        write(own, topic_name(run.topics.prefix, topic))
    for topic in rights.reads:
        read(own, topic_name(run.topics.prefix, topic))
    for action, allowed in ((write, rights.writes), (read, rights.reads)):
        other = topic_name(run.topics.prefix, next(topic for topic in Topic if topic not in allowed))
        write(as_user(run, secured, CLI), other)  # an empty topic needs no right to be read
        with pytest.raises(Exception, match="uthoriz") as caught:
            action(own, other)
        found = explain(caught.value)
        assert found is not None
        assert found[0] is ExitCode.USAGE
        assert "the rights that each service needs" in found[1]


def test_a_group_of_another_service_is_refused(secured: SecuredKafka, run: Settings) -> None:
    own = as_user(run, secured, Service.ROUTER)
    topic = topic_name(run.topics.prefix, Topic.ROLLOUTS)
    member = GroupMember(own.broker, secured.sasl, f"{run.topics.prefix}.rtv", [topic])
    with pytest.raises(Exception, match="uthoriz"):
        wait_until(lambda: member.consumer.poll(timeout_ms=500), "a refusal")
    member.consumer.close()


class LeastRights(RunOnBroker):
    """Each service is a process with the user of its name."""

    def start_as_itself(self, service: Service) -> subprocess.Popen[bytes]:
        password = self.folder / f"{service}.password"
        password.write_text(password_of(service))
        spec = next(each for each in service_specs(self.settings, self.write_settings()) if each.name == service)
        own = ["--set", f"broker.security.username={service}", "--set", f"broker.security.password_file={password}"]
        own += ["--set", "broker.security.password="]
        return self.start_command([*spec.argv(0), *own], service, spec.env)


@pytest.fixture
def loop(secured: SecuredKafka, engine: Engine, tmp_path: Path) -> Iterator[LeastRights]:
    settings = settings_as(
        secured,
        CLI,
        run={"folder": str(tmp_path / "runs"), "prepared": str(tmp_path)},
        database={"url": engine.url.render_as_string(hide_password=False)},
        model={"path": str(save_tiny_model(tmp_path / "model", seed=0)), "dtype": "float32"},
        rollout={"engine": {"max_model_tokens": 256}, "sampling": {"max_new_tokens": 4}},
        selector={
            "group_size": 2,
            "max_steps": 1,
            "eval_at_start": False,
            "eval_at_end": False,
            "admission": {"groups_per_step": 2},
            "preppo": {"enabled": False},
        },
        learner={
            "advantage": "group",
            "filter_zero_variance": False,
            "batch_wait_seconds": 1,
            "value": {"kind": "none"},
        },
    )
    name = settings.run.id
    settings = with_changes(settings, run={"id": name}, topics={"prefix": name})
    secured.allow(right for service in RIGHTS for right in rights_of(service, name))
    key = tmp_path / "key"
    key.write_text("announcements")
    settings = with_changes(settings, weights={"signing_key_file": str(key)})
    run = LeastRights(settings, secured.sasl, tmp_path)
    yield run
    run.close()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_run_trains_with_the_least_rights_and_signed_announcements(
    secured: SecuredKafka, loop: LeastRights, engine: Engine
) -> None:
    rows = [{"domain": "letters", "prompt": f"say {n}", "ground_truth": "a", "verifier": "exact"} for n in range(4)]
    ingest_rows(engine, [parse_row(row, Defaults()) for row in rows])
    forged = announced(10**6, lineage=0, run_id=loop.run_id, uri="/elsewhere")
    loop.send(forged)  # the user `cli` may write it, and has no key here
    services = [service for service in Service if service not in (Service.GENRM, Service.CROSSCHECK, Service.SELECTOR)]
    others = [loop.start_as_itself(service) for service in services]
    selector = loop.start_as_itself(Service.SELECTOR)
    wait_until(lambda: selector.poll() is not None, "the run's end", seconds=240, details=loop.logs)
    assert selector.returncode == 0, loop.logs()
    assert [child.poll() for child in others] == [None] * len(others), loop.logs()
    report = audit_run(loop.settings, secured.sasl, engine)
    assert report.violations == []
    assert report.groups["train"]["trained"] >= 2
    assert report.dead_letters
