"""How a client proves who it is to the Kafka broker, and how it knows the broker.

Invariant: a section that loads has all that its protocol and mechanism need, and nothing that they would ignore.
"""

from pathlib import Path
from typing import Literal, Self

from pydantic import SecretStr, model_validator

from infra.settings.secret import read_secret
from infra.settings.section import SettingsSection

_TLS = {
    "ca_file": "the broker's certificate authority",
    "certificate_file": "the client's certificate",
    "key_file": "its key",
    "key_password": "the key's password",
}
_PASSWORDS = ("username", "password", "password_file")
_TOKENS = ("token_file", "token_endpoint", "client_id", "client_secret", "client_secret_file", "scope")


class BrokerSecuritySettings(SettingsSection):
    """TLS and SASL of every Kafka client. infra/docs/security.md shows how to connect to a secured cluster."""

    protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """Kafka's name for the listener's protocol. The default is that of a local broker, which listens on loopback only.
    SASL_PLAINTEXT sends passwords and tokens in the clear."""
    ca_file: Path | None = None
    """PEM file of the certificate authorities that the broker's certificate is checked with. The system's if unset.
    The broker's host name is always checked."""
    certificate_file: Path | None = None
    """PEM file of the client's certificate and its chain, for a broker that asks for one."""
    key_file: Path | None = None
    """PEM file of the certificate's private key."""
    key_password: SecretStr = SecretStr("")
    """Password of key_file, if it is encrypted."""
    mechanism: Literal["", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] = ""
    """SASL mechanism. PLAIN and SCRAM take username and password, OAUTHBEARER a token."""
    username: str = ""
    """User at the broker. Give each service its own: the table of rights in infra/docs/security.md is per service."""
    password: SecretStr = SecretStr("")
    """The user's password; better from password_file, which a run's files then do not hold."""
    password_file: Path | None = None
    """File with the user's password. It is read again for each new client, so that a password may be changed."""
    token_file: Path | None = None
    """File with the bearer token, which somebody else renews. It is read again for each connection."""
    token_endpoint: str = ""
    """URL at which tokens are fetched with client_id and client_secret (OAuth's client credentials, RFC 6749, section
    4.4), in place of token_file."""
    client_id: str = ""
    """Client at the token endpoint."""
    client_secret: SecretStr = SecretStr("")
    """Its secret; better from client_secret_file."""
    client_secret_file: Path | None = None
    """File with the client's secret."""
    scope: str = ""
    """Scope that is asked for at the token endpoint, if any."""

    @property
    def tls(self) -> bool:
        return self.protocol in ("SSL", "SASL_SSL")

    @property
    def sasl(self) -> bool:
        return self.protocol in ("SASL_PLAINTEXT", "SASL_SSL")

    def read_password(self) -> str:
        """Raises SecretFileError."""
        return read_secret(self.password, self.password_file, "broker.security.password_file")

    def read_client_secret(self) -> str:
        """Raises SecretFileError."""
        return read_secret(self.client_secret, self.client_secret_file, "broker.security.client_secret_file")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        self._refuse_ignored(_TLS, needed="protocol SSL or SASL_SSL", used=self.tls)
        self._refuse_ignored(("mechanism",), needed="protocol SASL_PLAINTEXT or SASL_SSL", used=self.sasl)
        by_password = self.mechanism in ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
        self._refuse_ignored(_PASSWORDS, needed="mechanism PLAIN or SCRAM", used=by_password)
        self._refuse_ignored(_TOKENS, needed="mechanism OAUTHBEARER", used=self.mechanism == "OAUTHBEARER")
        if bool(self.certificate_file) != bool(self.key_file):
            raise ValueError("broker.security.certificate_file and key_file need each other")
        if self._given("key_password") and self.key_file is None:
            raise ValueError("broker.security.key_password is the password of key_file, which is missing")
        if self.sasl and not self.mechanism:
            raise ValueError(f"broker.security.protocol = {self.protocol!r} needs broker.security.mechanism")
        if by_password:
            self._require_password()
        if self.mechanism == "OAUTHBEARER":
            self._require_token()
        return self

    def _require_password(self) -> None:
        if not self.username:
            raise ValueError(f"broker.security.mechanism = {self.mechanism!r} needs broker.security.username")
        self._require_one("password", "password_file", f"mechanism = {self.mechanism!r}")

    def _require_token(self) -> None:
        self._require_one("token_file", "token_endpoint", "mechanism = 'OAUTHBEARER'")
        if not self.token_endpoint:
            self._refuse_ignored(_TOKENS[2:], needed="token_endpoint", used=False)
            return
        if not self.token_endpoint.startswith(("http://", "https://")):
            raise ValueError(f"broker.security.token_endpoint = {self.token_endpoint!r} must begin with https://")
        if not self.client_id:
            raise ValueError("broker.security.token_endpoint needs broker.security.client_id")
        self._require_one("client_secret", "client_secret_file", "token_endpoint")

    def _require_one(self, first: str, second: str, by: str) -> None:
        if self._given(first) == self._given(second):
            how = "either" if self._given(first) else "one of"
            raise ValueError(f"broker.security.{by} needs {how} broker.security.{first} or {second}")

    def _refuse_ignored(self, names: dict[str, str] | tuple[str, ...], *, needed: str, used: bool) -> None:
        ignored = [name for name in names if self._given(name)]
        if ignored and not used:
            raise ValueError(f"broker.security.{ignored[0]} is given, and nothing uses it: it needs {needed}")

    def _given(self, name: str) -> bool:
        value = getattr(self, name)
        return bool(value.get_secret_value() if isinstance(value, SecretStr) else value)
