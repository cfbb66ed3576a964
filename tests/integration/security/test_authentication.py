"""Every client proves who it is, by each mechanism; a wrong proof ends at once and names its setting."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from support.broker_run import run_settings
from support.secured_kafka import ADMIN, SCRAM, SecuredKafka, password_of, unsigned_token
from support.stage_loop import StageLoop, rollout

from infra.cli.errors import ExitCode, explain
from infra.settings.tree import Settings
from streams.admin import create_topics, topic_specs
from streams.clients import (
    BrokerSecurityError,
    BrokerUnavailableError,
    GroupMember,
    confirm,
    make_admin,
    make_producer,
    send,
)
from streams.records import Output
from streams.rights import CLI, Right, rights_of
from streams.topics import Topic, topic_name

pytestmark = pytest.mark.kafka

Proof = Callable[[SecuredKafka, Path], dict[str, Any]]
"""Makes the section broker.security."""


def by_plain(kafka: SecuredKafka, folder: Path) -> dict[str, Any]:
    return sasl(kafka, "PLAIN", username=ADMIN, password=password_of(ADMIN))


def by_scram_256(kafka: SecuredKafka, folder: Path) -> dict[str, Any]:
    return by_scram(kafka, folder, "SCRAM-SHA-256")


def by_scram_512(kafka: SecuredKafka, folder: Path) -> dict[str, Any]:
    return by_scram(kafka, folder, "SCRAM-SHA-512")


def by_scram(kafka: SecuredKafka, folder: Path, mechanism: str) -> dict[str, Any]:
    file = folder / "password"
    file.write_text(password_of(SCRAM[mechanism]) + "\n")
    return sasl(kafka, mechanism, username=SCRAM[mechanism], password_file=str(file))


def by_token(kafka: SecuredKafka, folder: Path) -> dict[str, Any]:
    file = folder / "token"
    file.write_text(unsigned_token(ADMIN))
    return sasl(kafka, "OAUTHBEARER", token_file=str(file))


def by_certificate(kafka: SecuredKafka, folder: Path) -> dict[str, Any]:
    made = kafka.certificates
    return {
        "protocol": "SSL",
        "ca_file": str(made.authority),
        "certificate_file": str(made.client),
        "key_file": str(made.client_key),
    }


def sasl(kafka: SecuredKafka, mechanism: str, **proof: str) -> dict[str, Any]:
    ca_file = str(kafka.certificates.authority)
    return {"protocol": "SASL_SSL", "ca_file": ca_file, "mechanism": mechanism, **proof}


def settings_of(bootstrap: str, security: dict[str, Any]) -> Settings:
    return run_settings(
        bootstrap,
        broker={
            "kind": "cluster",
            "bootstrap_servers": bootstrap,
            "session_timeout_seconds": 6,
            "connect_timeout_seconds": 5,
            "security": security,
        },
    )


def allow_all(kafka: SecuredKafka, settings: Settings, *users: str) -> None:
    prefix = settings.topics.prefix
    rights = [*rights_of(CLI, prefix), *rights_of("router", prefix)]
    kafka.allow(Right(user, *astuple(right)[1:]) for user in users for right in rights)


def astuple(right: Right) -> tuple[Any, ...]:
    return right.service, right.resource, right.name, right.prefixed, right.operation


@pytest.mark.parametrize("proof", [by_plain, by_scram_256, by_scram_512, by_token, by_certificate])
def test_producer_consumer_and_admin_by_each_proof(secured: SecuredKafka, proof: Proof, tmp_path: Path) -> None:
    bootstrap = secured.mutual if proof is by_certificate else secured.sasl
    settings = settings_of(bootstrap, proof(secured, tmp_path))
    allow_all(secured, settings, *SCRAM.values(), "client")
    create_topics(settings.broker, bootstrap, topic_specs(settings))
    topic = topic_name(settings.topics.prefix, Topic.ROLLOUTS)
    producer = make_producer(settings.broker, bootstrap)
    confirm(producer, [send(producer, Output(topic, b"k", b"v", ()))], 30)
    producer.close()
    consumer = GroupMember(settings.broker, bootstrap, f"{settings.topics.prefix}.router", [topic]).consumer
    found: list[Any] = []
    while not found:
        found = [raw for batch in consumer.poll(timeout_ms=500).values() for raw in batch]
    consumer.close()
    assert [raw.value for raw in found] == [b"v"]


@pytest.mark.parametrize("proof", [by_plain, by_scram_512, by_token, by_certificate])
def test_a_faust_app_by_each_proof(secured: SecuredKafka, proof: Proof, tmp_path: Path) -> None:
    bootstrap = secured.mutual if proof is by_certificate else secured.sasl
    settings = settings_of(bootstrap, proof(secured, tmp_path))
    allow_all(secured, settings, *SCRAM.values(), "client")
    loop = StageLoop(settings, bootstrap, tmp_path)
    loop.send(rollout(0))
    with loop.serving("router"):
        assert len(loop.read(Topic.RTV_REQUESTS, 1)) == 1
    loop.close()


@pytest.fixture
def token_endpoint() -> Iterator[tuple[str, list[str]]]:
    """An OAuth server that gives one client tokens, and the bodies of what it was asked."""
    asked: list[str] = []

    class Server(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
            known = self.headers["Authorization"] == "Basic Y2xpZW50Omh1c2g="  # client:hush
            body = json.dumps({"access_token": unsigned_token(ADMIN), "expires_in": 600} if known else {}).encode()
            self.send_response(200 if known else 401)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            """Says nothing."""

    server = HTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/token", asked
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_token_is_fetched_once_for_the_connections_of_a_client(
    secured: SecuredKafka, token_endpoint: tuple[str, list[str]]
) -> None:
    url, asked = token_endpoint
    proof = {"token_endpoint": url, "client_id": "client", "client_secret": "hush", "scope": "kafka"}
    settings = settings_of(secured.sasl, sasl(secured, "OAUTHBEARER", **proof))
    create_topics(settings.broker, secured.sasl, topic_specs(settings))
    assert asked == ["grant_type=client_credentials&scope=kafka"]
    refused = settings_of(secured.sasl, sasl(secured, "OAUTHBEARER", **(proof | {"client_secret": "wrong"})))
    with pytest.raises(BrokerSecurityError, match=r"token_endpoint = .* it answers 401; check client_id"):
        make_admin(refused.broker, secured.sasl)


def wrong_password(kafka: SecuredKafka) -> dict[str, Any]:
    return sasl(kafka, "PLAIN", username=ADMIN, password="wrong")  # noqa: S106 (it is one)


def wrong_scram(kafka: SecuredKafka) -> dict[str, Any]:
    return sasl(kafka, "SCRAM-SHA-256", username=SCRAM["SCRAM-SHA-256"], password="wrong")  # noqa: S106 (the same)


def other_authority(kafka: SecuredKafka) -> dict[str, Any]:
    return sasl(kafka, "PLAIN", username=ADMIN, password="x") | {"ca_file": str(kafka.certificates.other_authority)}  # noqa: S106


def missing_authority(kafka: SecuredKafka) -> dict[str, Any]:
    return sasl(kafka, "PLAIN", username=ADMIN, password="x") | {"ca_file": "/no/such.pem"}  # noqa: S106


def without_tls(kafka: SecuredKafka) -> dict[str, Any]:
    proof = sasl(kafka, "PLAIN", username=ADMIN, password=password_of(ADMIN))
    return proof | {"protocol": "SASL_PLAINTEXT", "ca_file": None}


def empty_file(kafka: SecuredKafka) -> dict[str, Any]:
    return sasl(kafka, "PLAIN", username=ADMIN, password_file="/dev/null")  # noqa: S106


@pytest.mark.parametrize(
    ("proof", "code", "text"),
    [
        (wrong_password, ExitCode.USAGE, "refuses user 'admin' by PLAIN"),
        (wrong_scram, ExitCode.USAGE, "refuses user 'hashed256' by SCRAM-SHA-256"),
        (other_authority, ExitCode.USAGE, "correct broker.security.ca_file"),
        (missing_authority, ExitCode.USAGE, "broker.security.ca_file = '/no/such.pem': there is no such file"),
        (empty_file, ExitCode.USAGE, "broker.security.password_file = '/dev/null' is empty"),
        (without_tls, ExitCode.UNREACHABLE, "is it a listener for broker.security.protocol = 'SASL_PLAINTEXT'?"),
    ],
)
def test_a_refused_client_names_the_setting(
    secured: SecuredKafka, proof: Callable[[SecuredKafka], dict[str, Any]], code: ExitCode, text: str
) -> None:
    settings = settings_of(secured.sasl, proof(secured))
    for make in (make_admin, make_producer):
        with pytest.raises((BrokerSecurityError, BrokerUnavailableError, ValueError)) as caught:
            make(settings.broker, secured.sasl)
        found = explain(caught.value)
        assert found is not None
        assert found[0] is code
        assert text in found[1]
        assert "hush" not in found[1]


def test_a_service_that_is_refused_ends_with_the_code_of_wrong_settings(secured: SecuredKafka, tmp_path: Path) -> None:
    settings = settings_of(secured.sasl, wrong_password(secured))
    loop = StageLoop(settings_of(secured.sasl, by_plain(secured, tmp_path)), secured.sasl, tmp_path)
    loop.settings = settings
    with loop.serving("router") as router:
        assert router.wait(60) == ExitCode.USAGE
    loop.close()
    assert "error: the broker at" in loop.log("router")
    assert "correct broker.security" in loop.log("router")
