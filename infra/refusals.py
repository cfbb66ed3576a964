"""Tells which errors say that somebody may not do this: a wrong password, a missing right.

Invariant: such an error is not an outage, since no time mends it. A process that meets one ends with EXIT_CODE, which
its supervisor takes for wrong settings, and is not started again.
"""

from infra.outages import causes

EXIT_CODE = 2
"""The code of wrong options or settings."""

_KAFKA_DENIES = {
    "kafka.errors.AuthorizationError",
    "aiokafka.errors.TopicAuthorizationFailedError",
    "aiokafka.errors.GroupAuthorizationFailedError",
    "aiokafka.errors.ClusterAuthorizationFailedError",
}
_REFUSALS = {
    "streams.clients.security.BrokerSecurityError",
    "infra.settings.secret.SecretFileError",
    "infra.db.engine.DatabaseRefusalError",
}
"""Errors by qualified name, because naming them must not import the modules of all parts."""


def explain(error: BaseException | None) -> str | None:
    """What to tell about a refusal that is the error, or its cause; None for any other error."""
    for cause in causes(error):
        names = {f"{kind.__module__}.{kind.__qualname__}" for kind in type(cause).__mro__}
        if _REFUSALS & names:
            return str(cause)
        if _KAFKA_DENIES & names:
            return (
                f"the broker denies this to the user of broker.security ({cause}): infra/docs/security.md has the "
                "rights that each service needs"
            )
    return None
