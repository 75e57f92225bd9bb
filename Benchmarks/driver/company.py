"""The broker, the database and the queues of the acceptance tests, as the benchmarks start them."""

import pathlib
import sys

from . import machine

ACCEPTANCE = pathlib.Path(__file__).resolve().parents[2] / "Acceptance"
sys.path.insert(0, str(ACCEPTANCE))

from harness.company import OUTBOX, QUEUES, broker_environment  # noqa: E402, F401
from harness.postgres import Postgres  # noqa: E402
from harness.rabbitmq import RabbitMQ  # noqa: E402
from harness.tls import Authority  # noqa: E402

#: Where the harness makes the servers' data.
DATA = "/tmp"

#: The share of a core that a broker uses with nothing to do: it counts, once a second, for its console.
BROKER_AT_REST = 0.2


def why_not():
    """What keeps the servers from being measured here; None if nothing does."""
    if machine.filesystem(DATA) == "tmpfs":
        return f"{DATA}, where these servers' data would be, is memory"
    return None


class Broker(RabbitMQ):
    def __init__(self, authority):
        super().__init__(authority.issue("rabbitmq", "DNS:localhost"))
        self.authority = authority

    @property
    def pid(self):
        return self._node.pid

    def version(self):
        return self.manage("GET", "overview")["rabbitmq_version"]

    def environment(self, vhost, **changes):
        """Postern's, to relay all that it accepts."""
        return broker_environment(
            vhost, self.authority, POSTERN_DEFAULT_ROUTE="mailerq", POSTERN_DEFAULT_LIVE_SEND_ENABLED="true", **changes
        )


class DatabaseServer(Postgres):
    def __init__(self, authority):
        super().__init__(authority.issue("postgres", "DNS:localhost"))

    @property
    def pid(self):
        return self._server.pid

    def version(self):
        return self.execute("SHOW server_version")[0][0].split()[0]

    def address(self, database):
        """The same for Postern and for its peer: over TCP, in clear."""
        return database.url_for(self.username, sslmode="disable")


def authority(workdir):
    directory = pathlib.Path(workdir, "authority")
    directory.mkdir(exist_ok=True)
    return Authority(directory)
