"""An Apache Kafka with TLS, SASL and ACLs: certificates made by openssl, users made with it."""

import base64
import json
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kafka import KafkaAdminClient
from kafka.admin import ACL, ACLOperation, ACLPermissionType, ACLResourcePatternType, ResourcePattern, ResourceType

from infra.local.broker import probe
from infra.local.kafka_server import KafkaServer
from infra.local.ports import LOOPBACK, free_port
from infra.local.processes import ChildProcess, run_to_end
from streams.rights import RIGHTS, Right
from support.waiting import wait_until

ADMIN = "admin"
"""A super user."""
SCRAM = {"SCRAM-SHA-256": "hashed256", "SCRAM-SHA-512": "hashed512"}
"""The users that log in by SCRAM; all others do by PLAIN."""


def password_of(user: str) -> str:
    return f"{user}-hush"


class Certificates:
    """A certificate authority, and of it a server's and a client's certificate; another authority that signed none."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority, self.other_authority = self._authority("ca"), self._authority("other")
        self.server = self._signed("server", f"subjectAltName=IP:{LOOPBACK}")
        self.client = self._signed("client", "extendedKeyUsage=clientAuth")
        self.client_key = folder / "client.key"
        joined = folder / "server.both.pem"
        joined.write_text((folder / "server.key").read_text() + self.server.read_text())
        self.server_both = joined

    def _authority(self, name: str) -> Path:
        key, pem = self.folder / f"{name}.key", self.folder / f"{name}.pem"
        self._openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                      "-keyout", key, "-out", pem)  # fmt: skip
        return pem

    def _signed(self, name: str, extension: str) -> Path:
        key, request, pem = (self.folder / f"{name}.{kind}" for kind in ("key", "csr", "pem"))
        extensions = self.folder / f"{name}.ext"
        extensions.write_text(extension + "\n")
        self._openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", key, "-out", request)
        self._openssl("x509", "-req", "-in", request, "-CA", self.authority, "-CAkey", self.folder / "ca.key",
                      "-CAcreateserial", "-days", "2", "-extfile", extensions, "-out", pem)  # fmt: skip
        return pem

    def _openssl(self, *arguments: object) -> None:
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


class SecuredKafka(KafkaServer):
    """Listeners: `sasl` (SASL_SSL, all mechanisms), `mutual` (TLS with a client's certificate), `plain` (for itself,
    where everybody is a super user).
    """

    def __init__(self, home: Path, folder: Path) -> None:
        super().__init__(home, folder / "kafka", folder / "kafka.log", 8 * 2**20)
        self.certificates = Certificates(folder)
        self.plain, self.sasl, self.mutual = (f"{LOOPBACK}:{free_port()}" for _ in range(3))
        self._child: ChildProcess | None = None

    def start(self) -> None:
        self._child = self.launch(int(self.plain.rpartition(":")[2]))
        child = self._child
        wait_until(lambda: probe(self.plain) is None or not child.alive, "the secured Kafka", details=child.log_tail)
        assert child.alive, child.log_tail()

    def stop(self) -> None:
        if self._child is not None:
            self._child.terminate(3)
        self.release()

    def allow(self, rights: Iterable[Right]) -> None:
        """Each service's user has the service's name."""
        admin = KafkaAdminClient(bootstrap_servers=self.plain)
        acls = [acl_of(right) for right in rights]
        result = admin.create_acls(acls)
        admin.close()
        assert not result["failed"], result

    def _properties(self, port: int, controller_port: int) -> str:
        users = [ADMIN, *RIGHTS]
        plain = "org.apache.kafka.common.security.plain.PlainLoginModule required"
        plain += "".join(f' user_{user}="{password_of(user)}"' for user in users) + ";"
        scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        bearer = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;"
        listeners = f"PLAINTEXT://{self.plain},SASL://{self.sasl},MUTUAL://{self.mutual}"
        values = {
            "listeners": f"{listeners},CONTROLLER://{LOOPBACK}:{controller_port}",
            "advertised.listeners": listeners,
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL:SASL_SSL,MUTUAL:SSL",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": self.certificates.server_both,
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": self.certificates.authority,
            "listener.name.mutual.ssl.client.auth": "required",
            "listener.name.mutual.ssl.principal.mapping.rules": "RULE:^CN=([a-z]+)$/$1/",
            "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
            "listener.name.sasl.plain.sasl.jaas.config": plain,
            "listener.name.sasl.scram-sha-256.sasl.jaas.config": scram,
            "listener.name.sasl.scram-sha-512.sasl.jaas.config": scram,
            "listener.name.sasl.oauthbearer.sasl.jaas.config": bearer,
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": f"User:{ADMIN};User:ANONYMOUS",
        }
        lines = "".join(f"{key}={value}\n" for key, value in values.items())
        return super()._properties(port, controller_port) + lines  # the last one of a name counts

    def _format(self, java: str, options: list[str], properties: Path) -> None:
        argv = [java, *options, "kafka.tools.StorageTool", "format", "-t", "AAAAAAAAAAAAAAAAAAAAAA"]
        for mechanism, user in SCRAM.items():
            argv += ["--add-scram", f"{mechanism}=[name={user},password={password_of(user)}]"]
        run_to_end("formatting", [*argv, "-c", str(properties)], log=self._log, timeout=60)


def acl_of(right: Right) -> ACL:
    pattern = ACLResourcePatternType.PREFIXED if right.prefixed else ACLResourcePatternType.LITERAL
    return ACL(
        principal=f"User:{right.service}",
        host="*",
        operation=ACLOperation[right.operation],
        permission_type=ACLPermissionType.ALLOW,
        resource_pattern=ResourcePattern(ResourceType[right.resource], right.name, pattern),
    )


def unsigned_token(user: str, life_seconds: float = 600) -> str:
    """A token as Kafka's own validator for development accepts it: a JWS without a signature."""

    def part(claims: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()

    now = time.time()
    return f"{part({'alg': 'none'})}.{part({'sub': user, 'iat': now, 'exp': now + life_seconds})}."
