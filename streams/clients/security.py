"""TLS and SASL of the Kafka clients, from the one section `broker.security`.

Invariant: what is wrong with a certificate, a password or a right raises one error that names the setting. It is not
taken for an outage, since no time mends it.
"""

import ssl
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from kafka.errors import IllegalSaslStateError, SaslAuthenticationFailedError, UnsupportedSaslMechanismError
from kafka.net.sasl.oauth import AbstractTokenProvider

from infra.settings.broker_security import BrokerSecuritySettings
from infra.settings.secret import read_secret

_TOKEN_SECONDS = 10.0
"""Time limit of a request for a token: a client that connects waits for it."""
_RENEW_AT = 0.8
"""Share of a token's life after which a new one is fetched, so that none expires on its way to the broker."""
_DEFAULT_LIFE_SECONDS = 300.0
"""Life of a token whose answer does not tell it (RFC 6749 only recommends that it does)."""


class BrokerSecurityError(RuntimeError):
    """A client cannot prove who it is, or the broker cannot; the text names the setting."""


def client_options(security: BrokerSecuritySettings) -> dict[str, Any]:
    """The options of a kafka-python client. Raises BrokerSecurityError, SecretFileError."""
    if security.protocol == "PLAINTEXT":
        return {}
    options: dict[str, Any] = {"security_protocol": security.protocol}
    if security.tls:
        options["ssl_context"] = tls_context(security)
    if security.sasl:
        options["sasl_mechanism"] = security.mechanism
    if security.mechanism == "OAUTHBEARER":
        options["sasl_oauth_token_provider"] = _TokenProvider(TokenSource(security))
    elif security.sasl:
        options |= {"sasl_plain_username": security.username, "sasl_plain_password": security.read_password()}
    return options


def tls_context(security: BrokerSecuritySettings) -> ssl.SSLContext:
    """Checks the broker's certificate and host name, and shows the client's certificate if there is one. Raises
    BrokerSecurityError.
    """
    for name in ("ca_file", "certificate_file", "key_file"):
        file: Path | None = getattr(security, name)
        if file is not None and not file.is_file():
            raise BrokerSecurityError(f"broker.security.{name} = {str(file)!r}: there is no such file")
    try:
        context = ssl.create_default_context(cafile=security.ca_file)
    except ssl.SSLError as error:
        raise BrokerSecurityError(
            f"broker.security.ca_file = {str(security.ca_file)!r} is not a PEM file of certificates: {error.reason}"
        ) from error
    if security.certificate_file is not None and security.key_file is not None:
        password = security.key_password.get_secret_value()
        try:
            # Without a password of ours, OpenSSL would ask the terminal for one.
            context.load_cert_chain(security.certificate_file, security.key_file, lambda: password)
        except (ssl.SSLError, OSError) as error:
            raise BrokerSecurityError(
                f"broker.security.certificate_file = {str(security.certificate_file)!r} with key_file = "
                f"{str(security.key_file)!r} cannot be used: {error}; is key_password right, and is the key that of "
                "the certificate?"
            ) from error
    return context


@dataclass
class TokenSource:
    """The bearer token: read from a file, or fetched from the token endpoint and kept until it is nearly over.
    Thread-safe.
    """

    security: BrokerSecuritySettings
    _token: str = ""
    _renew_at: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def token(self) -> str:
        """Raises BrokerSecurityError, SecretFileError."""
        if self.security.token_file is not None:
            return read_secret(self.security.client_secret, self.security.token_file, "broker.security.token_file")
        with self._lock:
            if time.monotonic() >= self._renew_at:
                self._fetch()
            return self._token

    def _fetch(self) -> None:
        security = self.security
        form = {"grant_type": "client_credentials"} | ({"scope": security.scope} if security.scope else {})
        context = ssl.create_default_context(cafile=security.ca_file)
        if security.ca_file is not None:
            context.load_default_certs()
        try:
            answer = httpx.post(
                security.token_endpoint,
                data=form,
                auth=(security.client_id, security.read_client_secret()),
                timeout=_TOKEN_SECONDS,
                verify=context,
            )
            answer.raise_for_status()
            found = answer.json()
            self._token, life = str(found["access_token"]), float(found.get("expires_in", _DEFAULT_LIFE_SECONDS))
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            what = (
                f"it answers {error.response.status_code}" if isinstance(error, httpx.HTTPStatusError) else repr(error)
            )
            raise BrokerSecurityError(
                f"no token from broker.security.token_endpoint = {security.token_endpoint!r}: {what}; check client_id, "
                "client_secret and scope"
            ) from error
        self._renew_at = time.monotonic() + _RENEW_AT * life


class _TokenProvider(AbstractTokenProvider):  # type: ignore[misc]  # the library has no types
    def __init__(self, source: TokenSource) -> None:
        super().__init__()
        self._source = source

    def token(self) -> str:
        return self._source.token()


def refusal(security: BrokerSecuritySettings, bootstrap: str, error: BaseException) -> BrokerSecurityError | None:
    """What to tell if the broker refused the client, or the client the broker; None for any other error."""
    if isinstance(error, SaslAuthenticationFailedError):
        who = f"user {security.username!r}" if security.username else "the token"
        return BrokerSecurityError(
            f"the broker at {bootstrap} refuses {who} by {security.mechanism} ({error}): correct "
            "broker.security.mechanism, username and password_file, or the token"
        )
    if isinstance(error, UnsupportedSaslMechanismError | IllegalSaslStateError):
        return BrokerSecurityError(
            f"the listener at {bootstrap} has no SASL {security.mechanism} ({error}): correct mechanism "
            "and protocol in broker.security, or the port in broker.bootstrap_servers"
        )
    if isinstance(error, ssl.SSLCertVerificationError):
        return BrokerSecurityError(
            f"the certificate of the broker at {bootstrap} is not accepted: {error.verify_message}; correct "
            "broker.security.ca_file, or the host name in broker.bootstrap_servers"
        )
    if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError):
        return BrokerSecurityError(
            f"no TLS with the broker at {bootstrap}: {error.reason or error}; broker.security.protocol = "
            f"{security.protocol!r} must be that of the listener, and a broker that asks for a client's certificate "
            "needs broker.security.certificate_file"
        )
    return error if isinstance(error, BrokerSecurityError) else None
