"""What a protocol or mechanism lacks, or would ignore, is named when the settings are loaded."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from infra.settings.broker_security import BrokerSecuritySettings
from infra.settings.load import load
from infra.settings.secret import SecretFileError
from infra.settings.sources import InvalidSettingsError, parse_assignment

PLAIN = {"protocol": "SASL_SSL", "mechanism": "PLAIN", "username": "u"}
TOKEN = {"protocol": "SASL_SSL", "mechanism": "OAUTHBEARER"}
ENDPOINT = {**TOKEN, "token_endpoint": "https://sso/token"}


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"protocol": "SASL_SSL"}, "needs broker.security.mechanism"),
        ({**PLAIN, "username": ""}, "mechanism = 'PLAIN' needs broker.security.username"),
        (PLAIN, "needs one of broker.security.password or password_file"),
        ({**PLAIN, "password": "p", "password_file": "f"}, "needs either broker.security.password or password_file"),
        ({**PLAIN, "password": "p", "mechanism": "SCRAM-SHA-1"}, "Input should be"),
        (TOKEN, "needs one of broker.security.token_file or token_endpoint"),
        (ENDPOINT, "token_endpoint needs broker.security.client_id"),
        ({**ENDPOINT, "client_id": "c"}, "needs one of broker.security.client_secret or client_secret_file"),
        ({**ENDPOINT, "token_endpoint": "sso"}, "must begin with https://"),
        ({**TOKEN, "token_file": "t", "scope": "s"}, "scope is given, and nothing uses it: it needs token_endpoint"),
        ({"protocol": "SSL", "certificate_file": "c"}, "certificate_file and key_file need each other"),
        ({"protocol": "SSL", "key_password": "p"}, "key_password is the password of key_file"),
        ({"ca_file": "ca.pem"}, "ca_file is given, and nothing uses it: it needs protocol SSL or SASL_SSL"),
        ({"protocol": "SSL", "mechanism": "PLAIN"}, "mechanism is given, and nothing uses it: it needs protocol SASL"),
        ({"username": "u"}, "username is given, and nothing uses it: it needs mechanism PLAIN or SCRAM"),
        ({**PLAIN, "password": "p", "token_file": "t"}, "it needs mechanism OAUTHBEARER"),
    ],
)
def test_what_is_missing_or_ignored_is_named(given: dict[str, Any], text: str) -> None:
    with pytest.raises(ValidationError) as caught:
        BrokerSecuritySettings.model_validate(given)
    assert text in str(caught.value)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"protocol": "SSL"},
        {"protocol": "SSL", "certificate_file": "c", "key_file": "k", "key_password": "p"},
        {**PLAIN, "password": "p"},
        {**PLAIN, "mechanism": "SCRAM-SHA-512", "password_file": "f", "ca_file": "ca.pem"},
        {**PLAIN, "protocol": "SASL_PLAINTEXT", "password": "p"},
        {**TOKEN, "token_file": "t"},
        {**ENDPOINT, "client_id": "c", "client_secret_file": "f", "scope": "s"},
    ],
)
def test_what_is_complete_loads(given: dict[str, Any]) -> None:
    BrokerSecuritySettings.model_validate(given)


def test_a_password_is_read_from_its_file_each_time(tmp_path: Path) -> None:
    file = tmp_path / "password"
    security = BrokerSecuritySettings.model_validate({**PLAIN, "password_file": str(file)})
    with pytest.raises(SecretFileError, match=r"broker\.security\.password_file = .* cannot be read"):
        security.read_password()
    for password in ("one", "two words"):
        file.write_text(f"{password}\n")
        assert security.read_password() == password


def test_a_broker_that_is_started_here_has_no_security() -> None:
    options = [parse_assignment("broker.security.protocol=SSL")]
    with pytest.raises(InvalidSettingsError, match=r"is for a cluster: .* give broker\.bootstrap_servers"):
        load(options=options)
    load(options=[*options, parse_assignment("broker.bootstrap_servers=k:9093")])
