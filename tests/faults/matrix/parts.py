"""The run's own Kafka and Postgres, as its supervisor starts them, behind proxies.

Invariant: every client of the run goes through a proxy, and the matrix itself goes past it, so that what it sees does
not depend on the fault that it made.
"""

from pathlib import Path

from faults.matrix.proxy import Proxy
from sqlalchemy import URL

from infra.local.broker import LocalKafka
from infra.local.kafka_server import KafkaServer
from infra.local.ports import LOOPBACK, free_port
from infra.local.postgres import DRIVER, EmbeddedPostgres


class ProxiedKafka(LocalKafka):
    def __init__(self, home: Path, folder: Path, log_file: Path, proxy: Proxy) -> None:
        super().__init__(home, folder, log_file)
        self._server = _AdvertisedServer(home, folder, log_file, 8 * 2**20)
        self._server.proxy_port = proxy.port
        self._proxy = proxy

    def start(self) -> None:
        self._proxy.aim(self._server.behind_proxy)
        super().start()
        self.direct = self.bootstrap
        self.bootstrap = f"{LOOPBACK}:{self._proxy.port}"

    restart = start


class _AdvertisedServer(KafkaServer):
    """It has a second listener, which names the proxy as the address to come to."""

    proxy_port = 0

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        self.behind_proxy = free_port()

    def _properties(self, port: int, controller_port: int) -> str:
        text = super()._properties(port, controller_port)
        for name in ("listeners", "advertised.listeners"):
            there = self.proxy_port if name.startswith("advertised") else self.behind_proxy
            text = text.replace(f"\n{name}=", f"\n{name}=PROXIED://{LOOPBACK}:{there},")
        return text.replace("security.protocol.map=", "security.protocol.map=PROXIED:PLAINTEXT,")


class ProxiedPostgres(EmbeddedPostgres):
    def __init__(self, folder: Path, log_file: Path, proxy: Proxy) -> None:
        super().__init__(folder, log_file)
        self._proxy = proxy

    def restart(self) -> None:
        super().restart()
        self.direct = self.url
        self._proxy.aim(self._sockets / ".s.PGSQL.5432")
        self.url = URL.create(
            DRIVER,
            username="rewardstream",
            database="rewardstream",
            host=LOOPBACK,
            port=self._proxy.port,
            query={"sslmode": "disable", "gssencmode": "disable"},
        ).render_as_string(hide_password=False)
