"""TLS and SASL of the Faust apps: the section `broker.security` in Faust's words."""

import asyncio

from aiokafka.abc import AbstractTokenProvider
from faust import SASLCredentials, SSLCredentials
from faust.auth import OAuthCredentials
from faust.types.auth import CredentialsT

from infra.settings.broker_security import BrokerSecuritySettings
from streams.clients.security import TokenSource, tls_context


def credentials_of(security: BrokerSecuritySettings) -> CredentialsT | None:
    """None for a plain listener. Raises BrokerSecurityError, SecretFileError."""
    context = tls_context(security) if security.tls else None
    if not security.sasl:
        return SSLCredentials(context) if context is not None else None
    if security.mechanism == "OAUTHBEARER":
        return OAuthCredentials(oauth_cb=_TokenProvider(TokenSource(security)), ssl_context=context)
    return SASLCredentials(
        username=security.username,
        password=security.read_password(),
        ssl_context=context,
        mechanism=security.mechanism,
    )


class _TokenProvider(AbstractTokenProvider):  # type: ignore[misc]  # the library has no types
    def __init__(self, source: TokenSource) -> None:
        self._source = source

    async def token(self) -> str:
        """In a thread: a token that is fetched must not hold up the heartbeats."""
        return await asyncio.to_thread(self._source.token)
